package io.github.jkvm.x86;

import io.github.jkvm.Bytes;
import java.util.List;

/**
 * Floating-point and SSE registers ({@code struct kvm_fpu}).
 *
 * @param fpr the eight x87 registers, 16 bytes each
 * @param fcw x87 control word
 * @param fsw x87 status word
 * @param ftwx x87 tag word, abridged
 * @param lastOpcode opcode of the last x87 instruction
 * @param lastIp address of the last x87 instruction
 * @param lastDp address of its operand
 * @param xmm the sixteen SSE registers, 16 bytes each
 * @param mxcsr SSE control and status
 */
public record FpuState(
        List<Bytes> fpr,
        int fcw,
        int fsw,
        int ftwx,
        int lastOpcode,
        long lastIp,
        long lastDp,
        List<Bytes> xmm,
        int mxcsr) {
    private static final int REGISTER_BYTES = 16;

    /** The state after {@code fninit} with SSE's default control word: what a boot loader leaves. */
    public static final FpuState INITIAL = new FpuState(zeros(8), 0x37F, 0, 0, 0, 0, 0, zeros(16), 0x1F80);

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if there are not 8 and 16 registers of 16 bytes
     */
    public FpuState {
        fpr = checked("x87", fpr, 8);
        xmm = checked("SSE", xmm, 16);
    }

    private static List<Bytes> checked(String name, List<Bytes> registers, int count) {
        if (registers.size() != count || registers.stream().anyMatch(r -> r.length() != REGISTER_BYTES)) {
            throw new IllegalArgumentException(
                    name + " registers must be " + count + " of " + REGISTER_BYTES + " bytes, got " + registers);
        }
        return List.copyOf(registers);
    }

    private static List<Bytes> zeros(int count) {
        return java.util.Collections.nCopies(count, Bytes.copyOf(new byte[REGISTER_BYTES]));
    }
}
