package io.github.jkvm.it;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;

/**
 * A VM whose only vCPU starts at the reset vector, as after power-on, and from there in a piece of 16-bit code, with DS, ES and SS at 0. It needs
 * no register to be set.
 */
final class RealModeGuest implements AutoCloseable {
    /** Where the code is: the page of the reset vector. */
    static final long CODE = 0xFFFF_F000L;

    /** Size of the RAM from address 0 on. Above it there is nothing up to the code. */
    static final long RAM_SIZE = 0x1_0000;

    /** As long as no run of a test should take. */
    static final Duration LONG = Duration.ofSeconds(60);

    private static final long RESET_VECTOR = 0xFFFF_FFF0L;

    final Hypervisor hypervisor;
    final X86Vm vm;
    final X86VCpu vcpu;
    final MemoryRegion ram;

    /** A guest of a hypervisor of its own. */
    RealModeGuest(int... code) {
        this(Hypervisor.open(), code);
    }

    /** A guest whose closing closes the hypervisor. */
    RealModeGuest(Hypervisor hypervisor, int... code) {
        this.hypervisor = hypervisor;
        this.vm = X86Vm.of(hypervisor.createVm());
        this.ram = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(RAM_SIZE));
        load(vm, code);
        this.vcpu = vm.createVCpu(0);
    }

    /** Puts code where a new vCPU of a VM finds it. */
    static void load(Vm vm, int... code) {
        vm.addMemory(GuestAddress.of(CODE), MemoryBacking.anonymous(0x1000));
        vm.memory().write(CODE, bytes(code));
        // jmp 0xf000: the instruction after it is at 0xfff3.
        vm.memory().write(RESET_VECTOR, bytes(0xE9, 0x0D, 0xF0));
    }

    static byte[] bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return bytes;
    }

    /** Runs, but not for ever. */
    VmExit run() {
        return vcpu.run(LONG);
    }

    @Override
    public void close() {
        hypervisor.close();
    }
}
