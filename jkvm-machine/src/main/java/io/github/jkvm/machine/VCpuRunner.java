package io.github.jkvm.machine;

import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.VmExit;
import io.github.jkvm.machine.MachineExit.Reason;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.Translation;
import io.github.jkvm.x86.X86VCpu;
import java.lang.System.Logger.Level;
import java.util.HexFormat;

/** Runs one vCPU on its own thread until the machine's run ends. Whatever is thrown here ends the run with an error. */
final class VCpuRunner implements Runnable {
    private static final System.Logger LOG = System.getLogger(Machine.class.getName());

    /** The longest x86 instruction (Intel SDM, volume 2, 2.3.11). */
    private static final int MAX_INSTRUCTION = 15;

    /** Where a processor starts after reset (Intel SDM, volume 3, 10.1.4). */
    private static final long RESET_RIP = 0xFFF0;

    private static final long RESET_BASE = 0xFFFF_0000L;

    /** {@link VmExit.Notify}: the guest's state is corrupt. */
    private static final long NOTIFY_CONTEXT_INVALID = 1;

    private final X86VCpu vcpu;
    private final ExitHandler bus;
    private final RunState state;
    private final Runnable whenLast;

    /**
     * Creates a runner.
     *
     * @param whenLast run on this thread if it is the last of the machine's to end
     */
    VCpuRunner(X86VCpu vcpu, ExitHandler bus, RunState state, Runnable whenLast) {
        this.vcpu = vcpu;
        this.bus = bus;
        this.state = state;
        this.whenLast = whenLast;
    }

    @Override
    @SuppressWarnings("CatchAndPrintStackTrace")
    public void run() {
        try {
            runGuest();
        } catch (Throwable failure) {
            // Also an Error, such as memory that runs out in a device: a machine that stands still without a word is
            // worse.
            state.end(MachineExit.error("vCPU " + vcpu.id() + ": " + failure, failure));
        } finally {
            if (state.retire() == 0) {
                // Nothing else has ended the run: every vCPU halted, and without an interrupt controller nothing wakes
                // one.
                state.end(MachineExit.of(Reason.HALT, "every vCPU halted"));
                whenLast.run();
            }
        }
    }

    private void runGuest() {
        while (state.enterGuest()) {
            try {
                if (!goesOnAfter(vcpu.run(bus))) {
                    return;
                }
            } finally {
                state.leaveGuest();
            }
        }
    }

    private boolean goesOnAfter(VmExit exit) {
        return switch (exit) {
            case VmExit.Interrupted ignored -> {
                // The loop looks at why.
                tellIfPaused();
                yield true;
            }
            // A non-maskable interrupt of the host, a bus lock that was slowed down: nothing to do.
            case VmExit.Nmi ignored -> true;
            case VmExit.BusLock ignored -> true;
            case VmExit.Notify notify when (notify.flags() & NOTIFY_CONTEXT_INVALID) == 0 -> true;
            case VmExit.Halt ignored -> {
                state.noteHalted(vcpu.id());
                yield false;
            }
            case VmExit.Shutdown ignored -> end(MachineExit.of(Reason.TRIPLE_FAULT, withRegisters("triple fault")));
            case VmExit.SystemEvent event -> end(systemEvent(event));
            default -> end(MachineExit.error(withRegisters("stopped with " + exit), null));
        };
    }

    private void tellIfPaused() {
        if (state.isPaused()) {
            tellOfPause(vcpu);
        }
    }

    /** Keeps the guest's watchdogs from barking at the time that it misses. */
    static void tellOfPause(X86VCpu vcpu) {
        try {
            vcpu.notifyPaused();
        } catch (HypervisorException e) {
            LOG.log(Level.TRACE, "vCPU " + vcpu.id() + " has no paravirtual clock to tell of the pause", e);
        }
    }

    private boolean end(MachineExit exit) {
        state.end(exit);
        return false;
    }

    private MachineExit systemEvent(VmExit.SystemEvent event) {
        String detail = "vCPU " + vcpu.id() + ": " + event;
        return switch (event.type()) {
            case SHUTDOWN -> MachineExit.of(Reason.SHUTDOWN, detail);
            case RESET -> MachineExit.of(Reason.RESET, detail);
            case CRASH -> MachineExit.of(Reason.PANIC, detail);
            default -> MachineExit.error(withRegisters("stopped with " + event), null);
        };
    }

    /** Adds what a person needs to see where the guest was: registers, and the bytes at the instruction pointer. */
    private String withRegisters(String what) {
        var text = new StringBuilder("vCPU ").append(vcpu.id()).append(": ").append(what);
        try {
            SpecialRegisters special = vcpu.specialRegisters();
            long rip = vcpu.registers().rip();
            if (rip == RESET_RIP && special.cs().base() == RESET_BASE) {
                // AMD: the processor's state is undefined after a shutdown, so KVM resets it (Linux,
                // arch/x86/kvm/svm/svm.c).
                return text.append(" (the host has reset the vCPU, its registers are lost)")
                        .toString();
            }
            text.append('\n').append(vcpu.registers());
            text.append(String.format(
                    "%ncr0 %x cr2 %x cr3 %x cr4 %x efer %x cs %x (base %x)",
                    special.cr0(),
                    special.cr2(),
                    special.cr3(),
                    special.cr4(),
                    special.efer(),
                    special.cs().selector(),
                    special.cs().base()));
            text.append(System.lineSeparator())
                    .append("code ")
                    .append(codeAt(special.cs().base() + rip));
        } catch (RuntimeException e) {
            // The vCPU may be beyond reading; the reason above still counts.
            LOG.log(Level.DEBUG, "can't read the registers of vCPU " + vcpu.id(), e);
            text.append(" (registers can't be read: ").append(e.getMessage()).append(')');
        }
        return text.toString();
    }

    private String codeAt(long linearAddress) {
        Translation where = vcpu.translate(linearAddress);
        GuestMemory memory = vcpu.vm().memory();
        for (int length = MAX_INSTRUCTION; length > 0; length--) {
            if (memory.contains(where.physicalAddress(), length)) {
                return HexFormat.ofDelimiter(" ").formatHex(memory.read(where.physicalAddress(), length));
            }
        }
        return "at no memory";
    }
}
