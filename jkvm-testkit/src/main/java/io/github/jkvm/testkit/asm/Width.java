package io.github.jkvm.testkit.asm;

/**
 * Sizes of operands, as types. An instruction whose operands must be of one size says so in its signature, and {@code add(EAX, CL)} does not
 * compile. Nothing is ever an instance of them.
 */
public sealed interface Width {
    /** 8 bits. */
    final class Bits8 implements Width {
        private Bits8() {}
    }

    /** What most instructions other than plain moves and arithmetic take, and what can hold an address: 16, 32 or 64 bits. */
    sealed interface AtLeast16 extends Width {}

    /** 16 bits. */
    final class Bits16 implements AtLeast16 {
        private Bits16() {}
    }

    /** What control registers and the newer instructions take: 32 or 64 bits. */
    sealed interface AtLeast32 extends AtLeast16 {}

    /** 32 bits. */
    final class Bits32 implements AtLeast32 {
        private Bits32() {}
    }

    /** 64 bits. */
    final class Bits64 implements AtLeast32 {
        private Bits64() {}
    }
}
