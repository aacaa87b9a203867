package io.github.jkvm.kvm;

import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.DeviceStructs;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Switches on what a VM or vCPU has only when asked ({@code KVM_ENABLE_CAP}). */
final class VmCapability {
    private VmCapability() {}

    /**
     * Switches a capability on.
     *
     * @param target the VM or vCPU
     * @param number the capability ({@code KVM_CAP_*})
     * @param arguments up to four numbers, whose meaning depends on it
     * @throws KvmException if the host refuses
     */
    static void enable(OwnedFd target, int number, long... arguments) {
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment request = DeviceStructs.KVM_ENABLE_CAP.allocate(temporary);
            request.set(ValueLayout.JAVA_INT, DeviceStructs.KVM_ENABLE_CAP.offset("cap"), number);
            long room = DeviceStructs.KVM_ENABLE_CAP.size("args") / Long.BYTES;
            if (arguments.length > room) {
                throw new IllegalArgumentException(
                        "capability " + number + " is given " + arguments.length + " arguments; at most " + room);
            }
            for (int i = 0; i < arguments.length; i++) {
                request.set(
                        ValueLayout.JAVA_LONG,
                        DeviceStructs.KVM_ENABLE_CAP.offset("args") + (long) i * Long.BYTES,
                        arguments[i]);
            }
            int result = target.tryIoctl(VCpuIoctls.KVM_ENABLE_CAP, request);
            if (result < 0) {
                throw KvmException.of(
                        VCpuIoctls.KVM_ENABLE_CAP.name(),
                        "capability " + number + ", " + Arrays.toString(arguments),
                        -result);
            }
        }
    }
}
