package io.github.jkvm.testkit.asm;

import org.jspecify.annotations.Nullable;

/**
 * A memory operand: {@code segment:[base + index * scale + displacement]}, a fixed address, or the address of a label. Immutable.
 *
 * <p>The registers decide the address size: 16-bit ones work in 16- and 32-bit code, 32-bit ones everywhere, 64-bit ones in 64-bit code. A
 * fixed address or a label has the address size of the code it stands in; in 64-bit code a label is addressed relative to the instruction
 * pointer. The operand has no size of its own: the register beside it tells it, and where there is none, {@link #dwordPtr} and its sisters
 * do.
 */
public final class Mem {
    private final @Nullable Reg<?> base;
    private final @Nullable Reg<?> index;
    private final int scale;
    private final long displacement;
    private final @Nullable Label label;
    private final @Nullable SegReg segment;

    private Mem(
            @Nullable Reg<?> base,
            @Nullable Reg<?> index,
            int scale,
            long displacement,
            @Nullable Label label,
            @Nullable SegReg segment) {
        this.base = base;
        this.index = index;
        this.scale = scale;
        this.displacement = displacement;
        this.label = label;
        this.segment = segment;
    }

    /**
     * Memory at a register.
     *
     * @param <W> the address size
     * @param base the register; of the 16-bit ones BX, BP, SI or DI
     * @return {@code [base]}
     */
    public static <W extends Width.AtLeast16> Mem mem(Reg<W> base) {
        return mem(base, 0);
    }

    /**
     * Memory at a distance from a register.
     *
     * @param <W> the address size
     * @param base the register; of the 16-bit ones BX, BP, SI or DI
     * @param displacement the distance in bytes, signed; must fit the address size, and 32 bits
     * @return {@code [base + displacement]}
     */
    public static <W extends Width.AtLeast16> Mem mem(Reg<W> base, long displacement) {
        return new Mem(base, null, 1, displacement, null, null);
    }

    /**
     * An element of an array.
     *
     * @param <W> the address size
     * @param base where the array starts; with 16 bits BX or BP
     * @param index number of the element; not RSP or ESP; with 16 bits SI or DI
     * @param scale bytes of an element: 1, 2, 4 or 8; with 16 bits 1
     * @return {@code [base + index * scale]}
     * @throws IllegalArgumentException if the scale is another
     */
    public static <W extends Width.AtLeast16> Mem mem(Reg<W> base, Reg<W> index, int scale) {
        return mem(base, index, scale, 0);
    }

    /**
     * An element of an array, at a distance.
     *
     * @param <W> the address size
     * @param base where the array starts; with 16 bits BX or BP
     * @param index number of the element; not RSP or ESP; with 16 bits SI or DI
     * @param scale bytes of an element: 1, 2, 4 or 8; with 16 bits 1
     * @param displacement the distance in bytes, signed
     * @return {@code [base + index * scale + displacement]}
     * @throws IllegalArgumentException if the scale is another
     */
    public static <W extends Width.AtLeast16> Mem mem(Reg<W> base, Reg<W> index, int scale, long displacement) {
        return new Mem(base, index, checked(scale), displacement, null, null);
    }

    /**
     * An element of an array at a fixed address.
     *
     * @param <W> the address size, 32 or 64 bits
     * @param index number of the element; not RSP or ESP
     * @param scale bytes of an element: 1, 2, 4 or 8
     * @param address where the array starts
     * @return {@code [index * scale + address]}
     * @throws IllegalArgumentException if the scale is another
     */
    public static <W extends Width.AtLeast32> Mem scaled(Reg<W> index, int scale, long address) {
        return new Mem(null, index, checked(scale), address, null, null);
    }

    /**
     * Memory at a fixed address.
     *
     * @param address offset in the segment in bytes: up to 0xFFFF in 16-bit code, up to 0xFFFFFFFF in 32-bit code, up to 0x7FFFFFFF in 64-bit
     *     code (further away is reached by a register)
     * @return {@code [address]}
     */
    public static Mem mem(long address) {
        return new Mem(null, null, 1, address, null, null);
    }

    /**
     * Memory at a label.
     *
     * @param label a label of the same assembler
     * @return {@code [label]}
     */
    public static Mem mem(Label label) {
        return mem(label, 0);
    }

    /**
     * Memory at a distance from a label.
     *
     * @param label a label of the same assembler
     * @param displacement the distance in bytes, signed
     * @return {@code [label + displacement]}
     */
    public static Mem mem(Label label, long displacement) {
        return new Mem(null, null, 1, displacement, label, null);
    }

    /**
     * The same memory through another segment. A segment that is the default anyway (SS with a base of BP, SP, EBP, ESP, RBP or RSP; else DS)
     * costs no prefix.
     *
     * @param segment the segment register
     * @return {@code segment:[...]}
     */
    public Mem in(SegReg segment) {
        return new Mem(base, index, scale, displacement, label, segment);
    }

    /**
     * 8 bits of memory.
     *
     * @param mem where
     * @return the operand {@code byte ptr [...]}
     */
    public static SizedMem<Width.Bits8> bytePtr(Mem mem) {
        return new SizedMem<>(mem, 8);
    }

    /**
     * 16 bits of memory.
     *
     * @param mem where
     * @return the operand {@code word ptr [...]}
     */
    public static SizedMem<Width.Bits16> wordPtr(Mem mem) {
        return new SizedMem<>(mem, 16);
    }

    /**
     * 32 bits of memory.
     *
     * @param mem where
     * @return the operand {@code dword ptr [...]}
     */
    public static SizedMem<Width.Bits32> dwordPtr(Mem mem) {
        return new SizedMem<>(mem, 32);
    }

    /**
     * 64 bits of memory.
     *
     * @param mem where
     * @return the operand {@code qword ptr [...]}
     */
    public static SizedMem<Width.Bits64> qwordPtr(Mem mem) {
        return new SizedMem<>(mem, 64);
    }

    @Nullable
    Reg<?> base() {
        return base;
    }

    @Nullable
    Reg<?> index() {
        return index;
    }

    int scale() {
        return scale;
    }

    long displacement() {
        return displacement;
    }

    @Nullable
    Label label() {
        return label;
    }

    /** The prefix that the segment costs, or null (SDM volume 1, 3.7.4). */
    @Nullable
    SegReg override() {
        boolean stack = base != null && (base.number() == 4 || base.number() == 5);
        return segment == (stack ? SegReg.SS : SegReg.DS) ? null : segment;
    }

    /** Whether no register takes part. */
    boolean isFixed() {
        return base == null && index == null;
    }

    /** The operand as in the manuals, such as {@code fs:[rbx+rcx*4+0x10]}. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        if (segment != null) {
            text.append(segment).append(':');
        } else if (isFixed() && label == null) {
            text.append("ds:");
        }
        text.append('[');
        String plus = "";
        if (base != null) {
            text.append(base);
            plus = "+";
        }
        if (label != null) {
            text.append(label);
            plus = "+";
        }
        if (index != null) {
            text.append(plus).append(index);
            if (scale != 1 || base == null) {
                text.append('*').append(scale);
            }
            plus = "+";
        }
        if (displacement != 0 || plus.isEmpty()) {
            text.append(displacement < 0 ? "" : plus).append(Immediate.text(displacement));
        }
        return text.append(']').toString();
    }

    private static int checked(int scale) {
        if (scale != 1 && scale != 2 && scale != 4 && scale != 8) {
            throw new IllegalArgumentException(
                    "scale " + scale + " must be 1, 2, 4 or 8; use lea or shl to build other multiples");
        }
        return scale;
    }
}
