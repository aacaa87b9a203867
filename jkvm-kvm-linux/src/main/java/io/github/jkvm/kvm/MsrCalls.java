package io.github.jkvm.kvm;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.ffi.Ioctl;
import io.github.jkvm.kvm.layout.ListCodec;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import io.github.jkvm.x86.Msr;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Reads and writes model-specific registers, of which the kernel serves as many as it can and tells how many those were. */
final class MsrCalls {
    /** The kernel takes fewer than {@code MAX_IO_MSRS} = 256 in one call (Linux, arch/x86/kvm/x86.c, msr_io). */
    private static final int MOST_IN_ONE_CALL = 255;

    private final StructCall call;

    MsrCalls(StructCall call) {
        this.call = call;
    }

    /**
     * Reads registers.
     *
     * @param indices which, any number
     * @return their values, in order
     * @throws HypervisorException if one can't be read
     */
    List<Msr> read(List<Integer> indices) {
        List<Msr> result = new ArrayList<>(indices.size());
        for (int from = 0; from < indices.size(); from += MOST_IN_ONE_CALL) {
            List<Msr> some = indices.subList(from, Math.min(indices.size(), from + MOST_IN_ONE_CALL)).stream()
                    .map(index -> new Msr(index, 0))
                    .toList();
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment struct = ListCodec.msrs(arena, some);
                int done = call.call(VCpuIoctls.KVM_GET_MSRS, struct, some.size() + " registers", StructCall.USUAL);
                if (done < some.size()) {
                    throw refused(VCpuIoctls.KVM_GET_MSRS, some.get(done), from + done, indices.size(), "read");
                }
                result.addAll(ListCodec.msrs(struct));
            }
        }
        return List.copyOf(result);
    }

    /**
     * Writes registers in order, up to the first that can't be written.
     *
     * @param msrs registers and values, any number
     * @throws HypervisorException if one can't be written
     */
    void write(List<Msr> msrs) {
        for (int from = 0; from < msrs.size(); from += MOST_IN_ONE_CALL) {
            List<Msr> some = msrs.subList(from, Math.min(msrs.size(), from + MOST_IN_ONE_CALL));
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment struct = ListCodec.msrs(arena, some);
                int done = call.call(VCpuIoctls.KVM_SET_MSRS, struct, some.size() + " registers", StructCall.USUAL);
                if (done < some.size()) {
                    throw refused(VCpuIoctls.KVM_SET_MSRS, some.get(done), from + done, msrs.size(), "written");
                }
            }
        }
    }

    private HypervisorException refused(Ioctl request, Msr msr, int position, int count, String verb) {
        String register = verb.equals("read") ? "MSR 0x%x".formatted(msr.index()) : msr.toString();
        return new HypervisorException(
                "%s (%s) refused %s, number %d of %d; the %d before it were %s. The host does not"
                                .formatted(request.name(), call.fd(), register, position + 1, count, position, verb)
                        + " know the register, or the guest's CPUID has no such feature, or the value is not one that it takes");
    }
}
