package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.InterruptStructs.KVM_IRQ_LEVEL;

import io.github.jkvm.InterruptLine;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** An input of the in-kernel interrupt controllers ({@code KVM_IRQ_LINE}). Changing its level does not allocate. */
final class KvmInterruptLine implements InterruptLine {
    private static final long IRQ = KVM_IRQ_LEVEL.offset("irq");
    private static final long LEVEL = KVM_IRQ_LEVEL.offset("level");

    private final OwnedFd vm;
    private final int gsi;

    /** The two requests, never changed, so that threads can share them. */
    private final MemorySegment high;

    private final MemorySegment low;

    KvmInterruptLine(OwnedFd vm, int gsi) {
        this.vm = vm;
        this.gsi = gsi;
        Arena arena = Arena.ofAuto();
        this.high = request(arena, gsi, 1);
        this.low = request(arena, gsi, 0);
    }

    private static MemorySegment request(Arena arena, int gsi, int level) {
        MemorySegment request = KVM_IRQ_LEVEL.allocate(arena);
        request.set(ValueLayout.JAVA_INT, IRQ, gsi);
        request.set(ValueLayout.JAVA_INT, LEVEL, level);
        return request;
    }

    @Override
    public int gsi() {
        return gsi;
    }

    @Override
    public void raise() {
        vm.ioctl(VmIoctls.KVM_IRQ_LINE, high);
    }

    @Override
    public void lower() {
        vm.ioctl(VmIoctls.KVM_IRQ_LINE, low);
    }

    @Override
    public String toString() {
        return "interrupt line " + gsi;
    }
}
