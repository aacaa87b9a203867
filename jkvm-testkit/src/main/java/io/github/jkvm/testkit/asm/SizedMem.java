package io.github.jkvm.testkit.asm;

/**
 * Memory with a size, for instructions where no register tells it: {@code inc(dwordPtr(mem(RBX)))}. Made by {@link Mem#bytePtr},
 * {@link Mem#wordPtr}, {@link Mem#dwordPtr} and {@link Mem#qwordPtr}.
 *
 * @param <W> size of the operand
 */
public final class SizedMem<W extends Width> implements Operand<W> {
    private final Mem mem;
    private final int bits;

    SizedMem(Mem mem, int bits) {
        this.mem = mem;
        this.bits = bits;
    }

    Mem mem() {
        return mem;
    }

    @Override
    public int bits() {
        return bits;
    }

    /** The operand as in the manuals, such as {@code dword ptr [rbx]}. */
    @Override
    public String toString() {
        String size = switch (bits) {
            case 8 -> "byte";
            case 16 -> "word";
            case 32 -> "dword";
            default -> "qword";
        };
        return size + " ptr " + mem;
    }
}
