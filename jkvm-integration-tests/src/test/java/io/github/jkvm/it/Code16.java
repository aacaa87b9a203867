package io.github.jkvm.it;

import java.io.ByteArrayOutputStream;

/** Puts together 16-bit machine code for test guests, instruction by instruction. Jumps go back to places noted with {@link #here()}. */
final class Code16 {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    private Code16 put(int... values) {
        for (int value : values) {
            bytes.write(value);
        }
        return this;
    }

    /** Where the next instruction begins. */
    int here() {
        return bytes.size();
    }

    byte[] bytes() {
        return bytes.toByteArray();
    }

    /** {@code out port, al} with the value loaded first. Ports above 0xff go through DX. */
    Code16 out(int port, int value) {
        movAl(value);
        return port > 0xFF ? movDx(port).outDxAl() : put(0xE6, port);
    }

    Code16 movAl(int value) {
        return put(0xB0, value);
    }

    Code16 movAx(int value) {
        return put(0xB8, value, value >> 8);
    }

    Code16 movEax(int value) {
        return put(0x66, 0xB8, value, value >> 8, value >> 16, value >> 24);
    }

    Code16 movEcx(int value) {
        return put(0x66, 0xB9, value, value >> 8, value >> 16, value >> 24);
    }

    Code16 movEdi(int value) {
        return put(0x66, 0xBF, value, value >> 8, value >> 16, value >> 24);
    }

    Code16 movDx(int value) {
        return put(0xBA, value, value >> 8);
    }

    Code16 outDxAl() {
        return put(0xEE);
    }

    Code16 outDxAx() {
        return put(0xEF);
    }

    Code16 outDxEax() {
        return put(0x66, 0xEF);
    }

    /** {@code mov [edi], al}; needs a data segment without the limit of 64 KiB. */
    Code16 storeAl() {
        return put(0x67, 0x88, 0x07);
    }

    /** {@code mov [edi], ax}. */
    Code16 storeAx() {
        return put(0x67, 0x89, 0x07);
    }

    /** {@code mov [edi], eax}. */
    Code16 storeEax() {
        return put(0x66, 0x67, 0x89, 0x07);
    }

    /** {@code add edi, value}. */
    Code16 addEdi(int value) {
        return put(0x66, 0x81, 0xC7, value, value >> 8, value >> 16, value >> 24);
    }

    /** {@code inc eax}. */
    Code16 incEax() {
        return put(0x66, 0x40);
    }

    /** {@code dec ecx}. */
    Code16 decEcx() {
        return put(0x66, 0x49);
    }

    Code16 pushEax() {
        return put(0x66, 0x50);
    }

    Code16 popEax() {
        return put(0x66, 0x58);
    }

    Code16 pushEdi() {
        return put(0x66, 0x57);
    }

    Code16 popEdi() {
        return put(0x66, 0x5F);
    }

    Code16 sti() {
        return put(0xFB);
    }

    Code16 hlt() {
        return put(0xF4);
    }

    Code16 iret() {
        return put(0xCF);
    }

    Code16 jmp(int target) {
        return put(0xEB, target - (here() + 2));
    }

    /** {@code jnz}: jumps if the last count was not 0. */
    Code16 jnz(int target) {
        return put(0x75, target - (here() + 2));
    }
}
