package io.github.jkvm.testkit.asm;

/**
 * Writes 16-, 32- and 64-bit x86 code, one method for each mnemonic, with operands in Intel's order: the destination first.
 *
 * {@snippet :
 * Assembler a = new Assembler(Mode.BITS16, 0x1000);
 * Label text = a.label("text");
 * Label next = a.label("next");
 * a.mov(SI, text).mov(DX, 0x3F8).cld();
 * Label again = a.here("again");
 * a.lodsb().test(AL, AL).jz(next).out(DX, AL).jmp(again);
 * a.bind(next).hlt();
 * a.bind(text).asciz("hello");
 * GuestCode code = a.assemble();
 * }
 *
 * <p>Registers carry their size as a type, so {@code add(EAX, CL)} does not compile. What depends on the code size is checked when the
 * method is called: an operand that the CPU cannot encode is an {@link IllegalArgumentException} that names the instruction, the operand, the
 * code size and a way around.
 *
 * <p>Where several encodings mean the same, the assembler takes the one that GNU {@code as} takes: the shortest number, the short form of
 * the accumulator, the register form that stores. A jump to a label takes two bytes if that reaches, else the near form; how is in the
 * documentation of {@link #assemble}. Methods that are not a plain mnemonic: {@link #interrupt} for INT (a word of Java), {@link #j},
 * {@link #set} and {@link #cmov} with a {@link Condition}, and a size in the name of far jumps and returns.
 *
 * <p>Not safe for use by several threads at once. Facts are from the Intel 64 and IA-32 Architectures Software Developer's Manual (SDM).
 */
public final class Assembler extends DescriptorInstructions {
    /**
     * Starts a program.
     *
     * @param mode code size of the first instruction
     * @param origin address of the first byte: what labels count from
     * @throws IllegalArgumentException if the origin is negative
     */
    public Assembler(Mode mode, long origin) {
        super(mode, checked(origin));
    }

    private static long checked(long origin) {
        if (origin < 0) {
            throw new IllegalArgumentException("origin " + Immediate.text(origin) + " must not be negative");
        }
        return origin;
    }
}
