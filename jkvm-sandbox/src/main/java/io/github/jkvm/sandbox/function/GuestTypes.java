package io.github.jkvm.sandbox.function;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What the guest's runtime must know of types to copy values: {@code struct type} and {@code struct jkvm_signature} of jkvm-sandbox.c. */
final class GuestTypes {
    private static final int TYPE_BYTES = 16;
    private static final int REFERENCE_BYTES = 8;
    private static final int SIGNATURE_BYTES = 16;

    /** {@code enum kind} of jkvm-sandbox.c, whose order this is. */
    private enum Kind {
        VOID,
        WHOLE,
        FLOAT,
        STRING,
        BYTES,
        RECORD
    }

    private record Reference(int offset, Kind kind) {}

    /** An import's number and types, to be written into its entry of the guest's table. */
    record ImportEntry(long entry, long index, long types) {}

    private final Map<CType, Long> addresses = new HashMap<>();
    private final List<ByteBuffer> placed = new ArrayList<>();
    private final List<ImportEntry> imports = new ArrayList<>();
    private final long start;
    private long end;

    /**
     * Begins with nothing.
     *
     * @param start address in the guest where all goes, a multiple of 8
     */
    GuestTypes(long start) {
        this.start = start;
        this.end = start;
    }

    private static ByteBuffer buffer(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    private long place(ByteBuffer bytes) {
        long address = end;
        placed.add(bytes.flip());
        end += bytes.limit();
        return address;
    }

    /** Returns the address of a type in the guest, placing it if it is new. */
    long address(CType type) {
        Long known = addresses.get(type);
        if (known != null) {
            return known;
        }
        List<Reference> references = new ArrayList<>();
        if (type instanceof CType.Struct struct) {
            addReferences(struct, 0, references);
        }
        ByteBuffer bytes = buffer(TYPE_BYTES + references.size() * REFERENCE_BYTES);
        bytes.putInt(number(kind(type)))
                .putInt(type.size())
                .putInt(references.size())
                .putInt(0);
        for (Reference reference : references) {
            bytes.putInt(reference.offset()).putInt(number(reference.kind()));
        }
        long address = place(bytes);
        addresses.put(type, address);
        return address;
    }

    private static void addReferences(CType.Struct struct, int offset, List<Reference> references) {
        for (CType.Field field : struct.fields()) {
            int at = offset + field.offset();
            if (field.type() instanceof CType.Struct inner) {
                addReferences(inner, at, references);
            } else if (field.type() == CType.Basic.STRING || field.type() == CType.Basic.BYTES) {
                references.add(new Reference(at, kind(field.type())));
            }
        }
    }

    @SuppressWarnings("EnumOrdinal") // the order is that of the C enum
    private static int number(Kind kind) {
        return kind.ordinal();
    }

    private static Kind kind(CType type) {
        return switch (type) {
            case CType.Struct _ -> Kind.RECORD;
            case CType.Basic.VOID -> Kind.VOID;
            case CType.Basic.BOOL, CType.Basic.INT, CType.Basic.LONG -> Kind.WHOLE;
            case CType.Basic.FLOAT, CType.Basic.DOUBLE -> Kind.FLOAT;
            case CType.Basic.STRING -> Kind.STRING;
            case CType.Basic.BYTES -> Kind.BYTES;
        };
    }

    /** Places the types of a function of the host. */
    void addImport(int index, long entry, Signature signature) {
        int count = signature.parameters().size();
        ByteBuffer bytes = buffer(SIGNATURE_BYTES + count * Long.BYTES);
        bytes.putLong(address(signature.result())).putLong(count);
        for (CType parameter : signature.parameters()) {
            bytes.putLong(address(parameter));
        }
        imports.add(new ImportEntry(entry, index, place(bytes)));
    }

    /** What goes into the guest's table. */
    List<ImportEntry> imports() {
        return List.copyOf(imports);
    }

    /** Address behind the last that was placed. */
    long end() {
        return end;
    }

    /** Returns all that was placed, from the start on. */
    ByteBuffer bytes() {
        ByteBuffer all = buffer(Math.toIntExact(end - start));
        for (ByteBuffer one : placed) {
            all.put(one.duplicate());
        }
        return all.flip();
    }
}
