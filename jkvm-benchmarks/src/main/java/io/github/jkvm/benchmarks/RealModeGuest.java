package io.github.jkvm.benchmarks;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.X86VCpu;
import java.util.HexFormat;

/**
 * A guest of a few instructions of 16-bit code. Creating and running it here takes the same KVM calls as in kvm-peer.c, in the same order.
 *
 * @param hex its machine code in hexadecimal
 */
record RealModeGuest(String hex) {
    /** Where {@link #WRITES_PORT} writes. */
    static final int PORT = 0x3F8;

    /** Where {@link #WRITES_MMIO} writes. */
    static final GuestAddress MMIO = new GuestAddress(0xC_0000);

    /** Writes to {@link #PORT} as often as the number at {@link #COUNT_ADDRESS} says, and halts. */
    static final RealModeGuest WRITES_PORT = new RealModeGuest(
            "668b0e0005" // mov ecx, [0x500]
                    + "baf803" // mov dx, 0x3f8
                    + "ee" // next: out dx, al
                    + "67e2fc" // loop next, with ecx
                    + "f4"); // hlt

    /** Writes to {@link #MMIO} as often as the number at {@link #COUNT_ADDRESS} says, and halts. */
    static final RealModeGuest WRITES_MMIO = new RealModeGuest(
            "668b0e0005" // mov ecx, [0x500]
                    + "b800c0" // mov ax, 0xc000
                    + "8ec0" // mov es, ax
                    + "26a20000" // next: mov es:[0], al
                    + "67e2f9" // loop next, with ecx
                    + "f4"); // hlt

    /** Writes one byte to {@link #PORT} and halts. */
    static final RealModeGuest WRITES_ONCE = new RealModeGuest(
            "baf803" // mov dx, 0x3f8
                    + "b021" // mov al, '!'
                    + "ee" // out dx, al
                    + "f4"); // hlt

    /** Where the guests find how often to write: 32 bits. */
    static final long COUNT_ADDRESS = 0x500;

    private static final long MEMORY_SIZE = 64 * 1024;
    private static final long CODE_ADDRESS = 0x1000;

    /**
     * Creates a VM whose only vCPU is about to run the code.
     *
     * @return the VM, to be closed by the caller
     */
    Vm create(Hypervisor hypervisor) {
        Vm vm = hypervisor.createVm();
        vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(MEMORY_SIZE));
        vm.memory().write(CODE_ADDRESS, HexFormat.of().parseHex(hex));
        X86VCpu vcpu = X86VCpu.of(vm.createVCpu(0));
        vcpu.setSpecialRegisters(vcpu.specialRegisters()
                .withSegments(Segment.realMode(0, Segment.TYPE_CODE), Segment.realMode(0, Segment.TYPE_DATA)));
        vcpu.setRegisters(Registers.INITIAL.withRip(CODE_ADDRESS));
        return vm;
    }

    /** Makes sure that the guest ended as it should. */
    static void checkHalted(VCpu vcpu, VmExit exit) {
        if (!(exit instanceof VmExit.Halt)) {
            throw new IllegalStateException("vCPU " + vcpu.id() + " stopped with " + exit + " instead of a halt");
        }
    }
}
