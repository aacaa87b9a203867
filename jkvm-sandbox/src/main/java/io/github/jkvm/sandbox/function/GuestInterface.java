package io.github.jkvm.sandbox.function;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeSet;

/**
 * The functions of a guest: those that it has, and those that it wants of the host.
 *
 * @param exports its own, by name
 * @param imports the host's, in the order of their numbers
 */
public record GuestInterface(Map<String, Export> exports, List<Import> imports) {
    /** Copies the functions. */
    public GuestInterface {
        exports = Map.copyOf(exports);
        imports = List.copyOf(imports);
    }

    /**
     * A function of the guest.
     *
     * @param signature its declaration
     * @param address where its code is
     * @param arguments where its arguments go
     * @param next where the guest goes on to call it
     * @param resultType address of its result's type in the guest, where {@link GuestTypes} puts it
     */
    public record Export(Signature signature, long address, ArgumentPlaces arguments, long next, long resultType) {}

    /**
     * A function of the host that the guest wants.
     *
     * @param signature its declaration
     * @param entry address of its entry in the guest's table
     */
    public record Import(Signature signature, long entry) {}

    /**
     * Returns a function of the guest.
     *
     * @param name its name
     * @return the function
     * @throws IllegalArgumentException if there is none; the text names those that there are
     */
    public Export export(String name) {
        Export export = exports.get(name);
        if (export == null) {
            throw new IllegalArgumentException("the guest has no function '" + name + "'; it has "
                    + (exports.isEmpty() ? "none" : String.join(", ", new TreeSet<>(exports.keySet()))));
        }
        return export;
    }

    /** Reads the tables of a guest. */
    static GuestInterface read(GuestImage image, GuestTypes types) {
        var parser = new TypeParser();
        for (long entry : image.entries(GuestImage.Table.RECORDS)) {
            parser.declare(
                    image.text(image.number(entry)), image.text(image.number(entry + 8)), image.number(entry + 16));
        }
        parser.readStructs();
        SequencedMap<String, Export> exports = new LinkedHashMap<>();
        for (long entry : image.entries(GuestImage.Table.EXPORTS)) {
            Export export = export(image, types, signature(image, parser, entry), image.number(entry + 24));
            if (exports.put(export.signature().name(), export) != null) {
                throw new BadGuestException(
                        "two functions have the name '" + export.signature().name() + "'; rename one");
            }
        }
        List<Import> imports = new ArrayList<>();
        for (long entry : image.entries(GuestImage.Table.IMPORTS)) {
            Signature signature = signature(image, parser, entry);
            types.addImport(imports.size(), entry, signature);
            imports.add(new Import(signature, entry));
        }
        return new GuestInterface(exports, imports);
    }

    private static Signature signature(GuestImage image, TypeParser parser, long entry) {
        return parser.signature(
                image.text(image.number(entry)),
                image.text(image.number(entry + 8)),
                image.text(image.number(entry + 16)));
    }

    private static Export export(GuestImage image, GuestTypes types, Signature signature, long address) {
        if (!image.isExecutable(address)) {
            throw new BadGuestException("function '" + signature.name() + "' at 0x" + Long.toHexString(address)
                    + " is not in executable memory");
        }
        ArgumentPlaces arguments = ArgumentPlaces.of(signature);
        long next = arguments.onlyWholeNumbersInRegisters() && ArgumentPlaces.isWholeOrNothing(signature.result())
                ? image.next(arguments.wholeNumbers())
                : image.nextForAny();
        return new Export(signature, address, arguments, next, types.address(signature.result()));
    }
}
