package io.github.jkvm.testkit.scripted;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.VmExit;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.function.Consumer;

/** A VM with one vCPU that is about to run a {@link PairedGuest}, made by the API alone. Closing it closes its hypervisor. */
public final class ContractGuest implements AutoCloseable {
    /** Where the code begins. */
    static final int CODE = 0x1000;

    static final long RAM_SIZE = 0x1_0000;

    /** As long as no run of a test should take. */
    static final Duration LONG = Duration.ofSeconds(60);

    private static final int STACK = 0x8000;
    private static final int HANDLERS = 0x3000;

    final Hypervisor hypervisor;
    final X86Vm vm;
    final MemoryRegion ram;
    final X86VCpu vcpu;

    /**
     * Makes the VM.
     *
     * @param hypervisor where the guest runs
     * @param prepare what is done to the VM before it has a vCPU
     * @param guest what it runs
     */
    ContractGuest(Hypervisor hypervisor, Consumer<X86Vm> prepare, PairedGuest guest) {
        this.hypervisor = hypervisor;
        try {
            vm = X86Vm.of(hypervisor.createVm());
            prepare.accept(vm);
            ram = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(RAM_SIZE));
            guest.code().load(vm.memory());
            writeHandlers();
            vcpu = createVCpu(0);
        } catch (Throwable t) {
            hypervisor.close();
            throw t;
        }
    }

    /** The handler of each input of the first 8259 reports its vector and ends the interrupt. */
    private void writeHandlers() {
        for (int irq = 0; irq < 8; irq++) {
            int vector = PairedGuest.PIC_BASE + irq;
            int address = HANDLERS + irq * 0x40;
            vm.memory().writeShort(4L * vector, (short) address);
            new Assembler(Mode.BITS16, address)
                    .push(EAX)
                    .mov(AL, vector)
                    .out(PairedGuest.REPORT, AL)
                    .mov(AL, 0x20)
                    .out(0x20, AL)
                    .pop(EAX)
                    .iretw()
                    .assemble()
                    .load(vm.memory());
        }
    }

    /** Adds a vCPU that runs the same code. */
    X86VCpu createVCpu(int id) {
        X86VCpu made = vm.createVCpu(id);
        made.setSpecialRegisters(made.specialRegisters()
                .withSegments(Segment.realMode(0, Segment.TYPE_CODE), Segment.flat32(0, Segment.TYPE_DATA)));
        made.setRegisters(Registers.INITIAL.withRip(CODE).withRsp(STACK));
        return made;
    }

    /** Runs, but not for ever. */
    VmExit run() {
        return vcpu.run(LONG);
    }

    /** Runs until the guest reports, and returns what. */
    int report() {
        VmExit exit = run();
        assertThat(exit).isInstanceOf(VmExit.PortOut.class);
        var out = (VmExit.PortOut) exit;
        assertThat(out.port()).isEqualTo(PairedGuest.REPORT);
        return (int) out.data().toLong();
    }

    @Override
    public void close() {
        hypervisor.close();
    }
}
