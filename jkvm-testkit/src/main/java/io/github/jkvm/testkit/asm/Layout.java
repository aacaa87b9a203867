package io.github.jkvm.testkit.asm;

import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Gives each statement its address, and each jump the shortest form that reaches: all start short, and those whose label is too far become
 * near, until none changes. A jump never becomes short again, so this ends, and the same program always gives the same bytes. Where
 * nothing is aligned they are the fewest possible, which GNU {@code as} finds too; an alignment whose padding shrinks while jumps grow can
 * leave a near jump where a short one would just reach.
 */
final class Layout {
    private final long origin;
    private final List<Statement> statements;
    private final int[] sizes;
    private final BitSet near = new BitSet();
    private final Map<Label, Long> addresses = new HashMap<>();

    private Layout(long origin, List<Statement> statements) {
        this.origin = origin;
        this.statements = statements;
        sizes = new int[statements.size()];
    }

    static GuestCode assemble(long origin, List<Statement> statements) {
        Layout layout = new Layout(origin, statements);
        layout.settle();
        byte[] code = new byte[Math.toIntExact(layout.place() - origin)];
        return new GuestCode(origin, code, layout.addresses, layout.write(code));
    }

    /** Makes jumps near until every short one reaches. */
    private void settle() {
        for (int i = 0; i < sizes.length; i++) {
            if (statements.get(i) instanceof Statement.Branch branch
                    && branch.shortOpcode() == Statement.Branch.NO_FORM) {
                near.set(i);
            }
        }
        boolean changed = true;
        while (changed) {
            place();
            changed = false;
            long end = origin;
            for (int i = 0; i < sizes.length; i++) {
                end += sizes[i];
                if (statements.get(i) instanceof Statement.Branch branch
                        && !near.get(i)
                        && branch.nearOpcode() != Statement.Branch.NO_FORM
                        && !Immediate.fitsSigned(address(branch.target()) - end, Byte.SIZE)) {
                    near.set(i);
                    changed = true;
                }
            }
        }
    }

    /** Computes sizes and the addresses of labels; returns the end. */
    private long place() {
        long address = origin;
        for (int i = 0; i < sizes.length; i++) {
            long size = switch (statements.get(i)) {
                case Statement.Code code -> code.bytes().length;
                case Statement.Branch branch -> size(branch, near.get(i));
                case Statement.Align align -> -address & (align.boundary() - 1);
                case Statement.PadTo pad -> padding(pad, address);
                case Statement.Bind bind -> {
                    addresses.put(bind.label(), address);
                    yield 0;
                }
            };
            address += size;
            if (address - origin > Emitter.LARGEST_PROGRAM) {
                throw new IllegalStateException("the program is larger than " + Emitter.LARGEST_PROGRAM
                        + " bytes at statement " + i + "; place far parts as programs of their own");
            }
            sizes[i] = (int) size;
        }
        return address;
    }

    private static int size(Statement.Branch branch, boolean isNear) {
        int prefix = branch.prefix() == 0 ? 0 : 1;
        return isNear ? prefix + (branch.nearOpcode() > 0xFF ? 2 : 1) + branch.nearBytes() : prefix + 2;
    }

    private static long padding(Statement.PadTo pad, long address) {
        long size = pad.address() - address;
        if (size < 0) {
            throw new IllegalStateException("cannot pad to " + Immediate.text(pad.address()) + ": the program is at "
                    + Immediate.text(address) + " already; move code away, or pad further");
        }
        return size;
    }

    private long address(Label label) {
        Long address = addresses.get(label);
        if (address == null) {
            throw new IllegalStateException(
                    "label " + label + " is used but has no place; call bind(" + label + ") where it belongs");
        }
        return address;
    }

    /** Writes all bytes; returns the listing. */
    private String write(byte[] code) {
        Listing listing = new Listing(origin, code);
        int at = 0;
        for (int i = 0; i < sizes.length; i++) {
            int end = at + sizes[i];
            switch (statements.get(i)) {
                case Statement.Code plain -> {
                    System.arraycopy(plain.bytes(), 0, code, at, sizes[i]);
                    for (Fixup fixup : plain.fixups()) {
                        fixup.apply(code, at, address(fixup.label()), origin + end);
                    }
                    listing.line(at, end, plain.text());
                }
                case Statement.Branch branch -> {
                    write(branch, near.get(i), code, at, end);
                    listing.line(at, end, branch.text());
                }
                case Statement.Align align -> {
                    Arrays.fill(code, at, end, (byte) align.fill());
                    listing.line(at, end, "align " + align.boundary());
                }
                case Statement.PadTo pad -> {
                    Arrays.fill(code, at, end, (byte) pad.fill());
                    listing.line(at, end, "pad to " + Immediate.text(pad.address()));
                }
                case Statement.Bind bind -> listing.label(bind.label());
            }
            at = end;
        }
        return listing.toString();
    }

    private void write(Statement.Branch branch, boolean isNear, byte[] code, int start, int end) {
        int at = start;
        if (branch.prefix() != 0) {
            code[at++] = (byte) branch.prefix();
        }
        int opcode = isNear ? branch.nearOpcode() : branch.shortOpcode();
        if (opcode > 0xFF) {
            code[at++] = (byte) (opcode >> 8);
        }
        code[at++] = (byte) opcode;
        new Fixup(at - start, end - at, branch.target(), 0, Fixup.Kind.RELATIVE, 0)
                .apply(code, start, address(branch.target()), origin + end);
    }
}
