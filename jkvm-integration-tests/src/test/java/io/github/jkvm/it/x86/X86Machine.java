package io.github.jkvm.it.x86;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;

/** A hypervisor and a VM with 64 KiB of memory, for code in real mode. */
final class X86Machine implements AutoCloseable {
    private static final int MEMORY = 1 << 16;
    private static final int ENTRY = 0x1000;
    private static final int STACK = 0x8000;
    private static final Duration LIMIT = Duration.ofSeconds(60);

    final X86Hypervisor hypervisor = X86Hypervisor.of(Hypervisor.open());
    final X86Vm vm = X86Vm.of(hypervisor.createVm());

    /** Adds the memory and a vCPU that begins at code put there. */
    X86VCpu vcpu(int... code) {
        vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(MEMORY));
        X86VCpu vcpu = vm.createVCpu(0);
        load(code);
        SpecialRegisters sregs = vcpu.specialRegisters();
        vcpu.setSpecialRegisters(
                sregs.withSegments(Segment.realMode(0, Segment.TYPE_CODE), Segment.realMode(0, Segment.TYPE_DATA)));
        restart(vcpu);
        return vcpu;
    }

    /** Puts code at the entry. */
    void load(int... code) {
        byte[] bytes = new byte[code.length];
        for (int i = 0; i < code.length; i++) {
            bytes[i] = (byte) code[i];
        }
        vm.memory().write(ENTRY, bytes);
    }

    /** Lets a vCPU begin at the entry (again). */
    static void restart(X86VCpu vcpu) {
        vcpu.setRegisters(Registers.INITIAL.withRip(ENTRY).withRsp(STACK));
    }

    /** Runs a vCPU, but not for ever. */
    static VmExit run(X86VCpu vcpu) {
        return vcpu.run(LIMIT);
    }

    @Override
    public void close() {
        hypervisor.close();
    }
}
