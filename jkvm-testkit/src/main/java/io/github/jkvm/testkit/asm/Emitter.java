package io.github.jkvm.testkit.asm;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;

/** The part of {@link Assembler} that collects the program: code size, labels, data, prefixes, and the result. */
abstract sealed class Emitter permits MoveInstructions {
    /** A program may not be larger, in bytes: a mistyped address must not eat the memory of the JVM. */
    static final int LARGEST_PROGRAM = 64 << 20;

    private static final int NOP = 0x90;

    private final long origin;
    private final List<Statement> statements = new ArrayList<>();
    private final List<Reserved> reserved = new ArrayList<>();
    private Mode mode;
    private @Nullable Prefix prefix;

    Emitter(Mode mode, long origin) {
        this.mode = mode;
        this.origin = origin;
    }

    /**
     * Sets the code size of what follows. The CPU is not told: the program changes it by a far jump.
     *
     * @param mode the code size
     * @return this
     */
    public final Assembler mode(Mode mode) {
        this.mode = mode;
        return self();
    }

    /**
     * The code size of the next instruction.
     *
     * @return the code size last set
     */
    public final Mode mode() {
        return mode;
    }

    /**
     * Makes a label that has no place yet, to be named by jumps forward.
     *
     * @param name for messages and listings
     * @return the label
     * @throws IllegalArgumentException if the name is blank
     */
    public final Label label(String name) {
        if (name.isBlank()) {
            throw new IllegalArgumentException("a label needs a name that is not blank; messages and listings show it");
        }
        return new Label(this, name);
    }

    /**
     * Puts a label here.
     *
     * @param label a label of this assembler without a place
     * @return this
     * @throws IllegalStateException if the label has a place
     * @throws IllegalArgumentException if another assembler made it
     */
    public final Assembler bind(Label label) {
        requireOwn(label);
        label.markBound();
        return add(new Statement.Bind(label));
    }

    /**
     * Makes a label and puts it here, to be named by jumps back.
     *
     * @param name for messages and listings
     * @return the label
     * @throws IllegalArgumentException if the name is blank
     */
    public final Label here(String name) {
        Label label = label(name);
        bind(label);
        return label;
    }

    /**
     * Writes bytes as they are: data, or an instruction that the assembler does not know.
     *
     * @param values each from -128 to 255
     * @return this
     * @throws IllegalArgumentException if a value is out of range
     */
    public final Assembler bytes(int... values) {
        return data("bytes", Byte.BYTES, Arrays.stream(values).asLongStream().toArray());
    }

    /**
     * Writes bytes as they are.
     *
     * @param values copied
     * @return this
     */
    public final Assembler bytes(byte[] values) {
        return add(new Statement.Code(values.clone(), List.of(), "bytes"));
    }

    /**
     * Writes 16-bit numbers, little-endian.
     *
     * @param values each from -0x8000 to 0xFFFF
     * @return this
     * @throws IllegalArgumentException if a value is out of range
     */
    public final Assembler words(int... values) {
        return data("words", Short.BYTES, Arrays.stream(values).asLongStream().toArray());
    }

    /**
     * Writes 32-bit numbers, little-endian.
     *
     * @param values each from -0x80000000 to 0xFFFFFFFF
     * @return this
     * @throws IllegalArgumentException if a value is out of range
     */
    public final Assembler dwords(long... values) {
        return data("dwords", Integer.BYTES, values);
    }

    /**
     * Writes 64-bit numbers, little-endian.
     *
     * @param values the numbers
     * @return this
     */
    public final Assembler qwords(long... values) {
        return data("qwords", Long.BYTES, values);
    }

    /**
     * Writes the address of a label in 16 bits.
     *
     * @param label a label of this assembler, which must come to lie below 64 KiB
     * @return this
     */
    public final Assembler word(Label label) {
        return data("word", label, Short.BYTES);
    }

    /**
     * Writes the address of a label in 32 bits.
     *
     * @param label a label of this assembler, which must come to lie below 4 GiB
     * @return this
     */
    public final Assembler dword(Label label) {
        return data("dword", label, Integer.BYTES);
    }

    /**
     * Writes the address of a label in 64 bits.
     *
     * @param label a label of this assembler
     * @return this
     */
    public final Assembler qword(Label label) {
        return data("qword", label, Long.BYTES);
    }

    /**
     * Writes text, one byte a character, with no end mark.
     *
     * @param text characters up to U+00FF
     * @return this
     * @throws IllegalArgumentException if a character is beyond U+00FF
     */
    public final Assembler ascii(String text) {
        if (!StandardCharsets.ISO_8859_1.newEncoder().canEncode(text)) {
            throw new IllegalArgumentException(
                    "\"" + text + "\" has a character beyond U+00FF; encode it yourself and write it by bytes(byte[])");
        }
        return add(new Statement.Code(text.getBytes(StandardCharsets.ISO_8859_1), List.of(), "ascii"));
    }

    /**
     * Writes text, one byte a character, and a zero byte.
     *
     * @param text characters up to U+00FF
     * @return this
     * @throws IllegalArgumentException if a character is beyond U+00FF
     */
    public final Assembler asciz(String text) {
        return ascii(text).bytes(0);
    }

    /**
     * Goes on at the next multiple of a boundary. The bytes between are NOP instructions, so that a program may run through them.
     *
     * @param boundary in bytes, a power of two up to 1 MiB
     * @return this
     * @throws IllegalArgumentException if it is another number
     */
    public final Assembler align(int boundary) {
        if (Integer.bitCount(boundary) != 1 || boundary < 1 || boundary > 1 << 20) {
            throw new IllegalArgumentException("boundary " + boundary + " must be a power of two from 1 to 1048576");
        }
        return add(new Statement.Align(boundary, NOP));
    }

    /**
     * Writes one byte many times.
     *
     * @param count how many times, 0 to 64 MiB
     * @param value from -128 to 255
     * @return this
     * @throws IllegalArgumentException if a number is out of range
     */
    public final Assembler fill(int count, int value) {
        if (count < 0 || count > LARGEST_PROGRAM) {
            throw new IllegalArgumentException("count " + count + " must be from 0 to " + LARGEST_PROGRAM);
        }
        byte[] bytes = new byte[count];
        Arrays.fill(bytes, (byte) Immediate.normalized(value, Byte.SIZE));
        return add(new Statement.Code(bytes, List.of(), "fill"));
    }

    /**
     * Goes on at an address; the bytes between are zero. {@link Assembler#assemble} fails if the program is beyond it.
     *
     * @param address at or after here, at most 64 MiB after the origin
     * @return this
     */
    public final Assembler padTo(long address) {
        return add(new Statement.PadTo(address, 0));
    }

    /**
     * Gives everything its place. May be called again, also after adding more.
     *
     * <p>All jumps to labels start in their short form, of two bytes. Those whose label is out of reach become near, and so on until all reach.
     * The same program always gives the same bytes.
     *
     * @return the program
     * @throws IllegalStateException if a label that is used has no place or is out of reach, if padding goes back, if the program is larger
     *     than 64 MiB, if its last instruction is a prefix, or if it lies where its {@link Prelude} puts tables or the stack
     */
    public final GuestCode assemble() {
        requireNoPrefix("the end of the program");
        GuestCode code = Layout.assemble(origin, statements);
        for (Reserved area : reserved) {
            area.requireOutside(code);
        }
        return code;
    }

    /** This, as what the methods of every layer return. */
    final Assembler self() {
        return (Assembler) this;
    }

    /** Remembers a prefix for the next instruction. */
    final Assembler prefix(Prefix next) {
        requireNoPrefix(next.name());
        prefix = next;
        return self();
    }

    /**
     * Adds an instruction.
     *
     * @param operands in Intel's order, for the listing
     */
    final Assembler emit(String mnemonic, Encoding encoding, Object... operands) {
        String text = text(mnemonic, operands);
        Prefix before = prefix;
        prefix = null;
        if (before != null && !before.isAllowedBefore(encoding)) {
            throw new IllegalArgumentException(before.name() + " cannot stand before " + text
                    + "; LOCK goes with read-modify-write on memory, the others with string instructions");
        }
        requireOwn(encoding.target());
        Mem mem = encoding.rmMem();
        requireOwn(mem == null ? null : mem.label());
        try {
            return add(InstructionEncoder.encode(mode, encoding, before, before == null ? text : before.text() + text));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(text + ": " + e.getMessage(), e);
        }
    }

    /** Adds a jump to a label. */
    final Assembler emit(Statement.Branch branch) {
        requireOwn(branch.target());
        return add(branch);
    }

    /** Adds 8 bytes of which some get pieces of a label's address: a descriptor. */
    final Assembler qwordWithPieces(long value, List<Fixup> pieces) {
        byte[] bytes = new byte[Long.BYTES];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (value >>> (i * Byte.SIZE));
        }
        return add(new Statement.Code(bytes, List.copyOf(pieces), "descriptor"));
    }

    /** Notes memory that the program will write: its own bytes must not lie there. */
    final void reserve(String what, long start, long end) {
        reserved.add(new Reserved(what, start, end));
    }

    /** The number in the signed form of its size, or an error that names the instruction. */
    static long checked(String mnemonic, long immediate, int bits) {
        try {
            return Immediate.normalized(immediate, bits);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(mnemonic + ": " + e.getMessage(), e);
        }
    }

    /** An unsigned number of that size, or an error that names the instruction. */
    static long unsigned(String mnemonic, long value, int bits) {
        if (value >>> bits != 0) {
            throw new IllegalArgumentException(mnemonic + ": " + value + " must be from 0 to " + ((1L << bits) - 1));
        }
        return value;
    }

    static String text(String mnemonic, Object... operands) {
        StringJoiner text = new StringJoiner(", ", operands.length == 0 ? mnemonic : mnemonic + " ", "");
        for (Object operand : operands) {
            text.add(operand instanceof Number number ? Immediate.text(number.longValue()) : operand.toString());
        }
        return text.toString();
    }

    private Assembler data(String name, int size, long... values) {
        byte[] bytes = new byte[Math.multiplyExact(values.length, size)];
        for (int i = 0; i < bytes.length; i++) {
            long value = checked(name, values[i / size], size * Byte.SIZE);
            bytes[i] = (byte) (value >>> (i % size * Byte.SIZE));
        }
        return add(new Statement.Code(bytes, List.of(), name));
    }

    private Assembler data(String name, Label label, int size) {
        requireOwn(label);
        Fixup fixup = new Fixup(0, size, label, 0, Fixup.Kind.ABSOLUTE, 0);
        return add(new Statement.Code(new byte[size], List.of(fixup), name + " " + label));
    }

    private Assembler add(Statement statement) {
        requireNoPrefix("a label, data or a jump");
        statements.add(statement);
        return self();
    }

    private void requireNoPrefix(String next) {
        if (prefix != null) {
            throw new IllegalStateException(
                    prefix.name() + " stands before " + next + "; write the instruction it belongs to right after it");
        }
    }

    private void requireOwn(@Nullable Label label) {
        if (label != null && label.owner() != this) {
            throw new IllegalArgumentException(
                    "label " + label + " was made by another assembler; make it by label() of this one");
        }
    }

    /** Memory that the program writes, by its first address and the one after its last. */
    private record Reserved(String what, long start, long end) {
        void requireOutside(GuestCode code) {
            if (code.origin() < end && code.origin() + code.size() > start) {
                throw new IllegalStateException("the program from " + Immediate.text(code.origin()) + " to "
                        + Immediate.text(code.origin() + code.size()) + " overlaps " + what + " from "
                        + Immediate.text(start)
                        + " to " + Immediate.text(end) + "; move one of them");
            }
        }
    }
}
