package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * A VM with one vCPU in 16-bit code at {@link #CODE}, whose data segments reach all addresses below 4 GiB, and with an interrupt table at 0. Tests
 * use it for what a guest does to the VM's parts: doorbells, rings, interrupt controllers.
 */
final class BareGuest implements AutoCloseable {
    /** Where the code begins, in the first 64 KiB. */
    static final int CODE = 0x1000;

    static final long RAM_SIZE = 0x10_0000;

    /** As long as no run of a test should take. */
    static final Duration LONG = Duration.ofSeconds(60);

    /** Port that guests write when they want the test to look. */
    static final int REPORT = 0x80;

    private static final int STACK = 0x8000;

    final Hypervisor hypervisor;
    final X86Vm vm;
    final MemoryRegion ram;
    final X86VCpu vcpu;

    /** A guest without interrupt controllers. */
    BareGuest(Code16 code) {
        this(vm -> {}, code);
    }

    /**
     * A guest.
     *
     * @param prepare what is done to the VM before it has a vCPU
     * @param code what it runs
     */
    BareGuest(Consumer<X86Vm> prepare, Code16 code) {
        hypervisor = Hypervisor.open();
        try {
            vm = X86Vm.of(hypervisor.createVm());
            prepare.accept(vm);
            ram = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(RAM_SIZE));
            vm.memory().write(CODE, code.bytes());
            vcpu = vm.createVCpu(0);
            vcpu.setSpecialRegisters(vcpu.specialRegisters()
                    .withSegments(Segment.realMode(0, Segment.TYPE_CODE), Segment.flat32(0, Segment.TYPE_DATA)));
            vcpu.setRegisters(Registers.INITIAL.withRip(CODE).withRsp(STACK));
        } catch (Throwable t) {
            hypervisor.close();
            throw t;
        }
    }

    KvmVm kvm() {
        return KvmVm.of(vm);
    }

    KvmVCpu kvmVCpu() {
        return KvmVCpu.of(vcpu);
    }

    /** Has an interrupt vector run code of its own. */
    void setHandler(int vector, int address, Code16 code) {
        vm.memory().write(address, code.bytes());
        vm.memory().writeShort(4L * vector, (short) address);
        vm.memory().writeShort(4L * vector + 2, (short) 0);
    }

    VmExit run() {
        return vcpu.run(LONG);
    }

    /** Runs until the guest reports, and returns what. */
    int report() {
        VmExit exit = run();
        assertThat(exit).isInstanceOf(VmExit.PortOut.class);
        var out = (VmExit.PortOut) exit;
        assertThat(out.port()).isEqualTo(REPORT);
        return (int) out.data().toLong();
    }

    @Override
    public void close() {
        hypervisor.close();
    }
}
