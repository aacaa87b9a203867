package io.github.jkvm.kvm;

import io.github.jkvm.ExitHandler;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.layout.RunNumbers;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Enters the guest and serves what it leaves for. Belongs to the thread that has the vCPU by {@link VCpuGate}; serving an exit allocates
 * nothing.
 */
final class RunLoop {
    private static final long RUN = VCpuIoctls.KVM_RUN.number();

    private final int vcpu;
    private final RunPage page;
    private final VCpuGate gate;
    private final ExitDecoder decoder;
    private final ExitAnswer answer;
    private final String name;

    /** The kernel has something to finish on the next entry, with what is in the run page. */
    private boolean unfinished;

    /** Finishing led to a further exit, for the next run to return. */
    private boolean early;

    private int earlyResult;

    /**
     * Creates the loop of a vCPU that has not run.
     *
     * @param vcpu number of its descriptor, which stays open as long as this is used
     * @param page what it shares with the kernel
     * @param gate what keeps threads apart
     * @param answer takes each exit that is returned
     * @param name the vCPU's, for messages
     */
    RunLoop(int vcpu, RunPage page, VCpuGate gate, ExitAnswer answer, String name) {
        this.vcpu = vcpu;
        this.page = page;
        this.gate = gate;
        this.decoder = new ExitDecoder(page, HostArchitecture.current());
        this.answer = answer;
        this.name = name;
    }

    /**
     * Runs the guest until there is an exit for the program.
     *
     * @param handler what serves ports and MMIO, or null if these are exits for the program too
     * @return the exit
     * @throws IllegalStateException if the vCPU is to be closed
     * @throws KvmException if the host fails to run it
     */
    VmExit run(@Nullable ExitHandler handler) {
        boolean virtual = Thread.currentThread().isVirtual();
        while (true) {
            if (virtual) {
                gate.rebind();
            }
            int result = enter();
            if (result >= 0) {
                int reason = page.exitReason();
                unfinished = isFinishedByEntry(reason);
                if (handler != null && reason == RunNumbers.KVM_EXIT_IO) {
                    servePort(handler);
                    continue;
                }
                if (handler != null && reason == RunNumbers.KVM_EXIT_MMIO) {
                    serveMmio(handler);
                    continue;
                }
                VmExit exit = decoder.decode();
                if (exit != null) {
                    answer.ask(exit);
                    return exit;
                }
            } else if (result == -Errno.EINTR || result == -Errno.EAGAIN) {
                unfinished = false;
            } else {
                return failedEntry(-result);
            }
            VmExit requested = gate.takeRequest();
            if (requested != null) {
                return requested;
            }
        }
    }

    private int enter() {
        if (early) {
            early = false;
            return earlyResult;
        }
        return Libc.ioctl(vcpu, RUN, 0L);
    }

    /** An entry that fails may still be an exit (Documentation/virt/kvm/api.rst, KVM_EXIT_MEMORY_FAULT). */
    private VmExit failedEntry(int errno) {
        unfinished = false;
        if ((errno == Errno.EFAULT || errno == Errno.EHWPOISON)
                && page.exitReason() == RunNumbers.KVM_EXIT_MEMORY_FAULT) {
            VmExit exit = Objects.requireNonNull(decoder.decode());
            answer.ask(exit);
            return exit;
        }
        String hint = switch (errno) {
            case Errno.EFAULT ->
                "the guest touched memory that the host can't provide: a file that was cut short, or the"
                        + " host is out of memory";
            case Errno.EINVAL -> "the vCPU's state is not one that the processor can run";
            case Errno.EIO -> "the VM belongs to another process; a VM can't be used after a fork";
            default -> "the host can't run the vCPU";
        };
        throw new KvmException(VCpuIoctls.KVM_RUN.name(), name, errno, hint);
    }

    private void servePort(ExitHandler handler) {
        int port = page.port();
        int size = page.portSize();
        int count = page.portCount();
        long data = page.portData();
        if (!page.portIsRead()) {
            for (int i = 0; i < count; i++) {
                handler.portOut(port, size, page.element(data + (long) i * size, size));
            }
            return;
        }
        int done = 0;
        try {
            for (; done < count; done++) {
                page.setElement(data + (long) done * size, size, handler.portIn(port, size));
            }
        } finally {
            for (; done < count; done++) {
                page.setElement(data + (long) done * size, size, ExitDecoder.ALL_ONES);
            }
        }
    }

    private void serveMmio(ExitHandler handler) {
        long address = page.mmioAddress();
        int length = page.mmioLength();
        if (page.mmioIsWrite()) {
            handler.mmioWrite(address, length, page.mmioData(length));
            return;
        }
        long value = ExitDecoder.ALL_ONES;
        try {
            value = handler.mmioRead(address, length);
        } finally {
            page.setMmioData(value);
        }
    }

    /** Whether the kernel waits for the next entry to complete the instruction. Reasons not known here may; an entry more does no harm. */
    private static boolean isFinishedByEntry(int reason) {
        return switch (reason) {
            case RunNumbers.KVM_EXIT_HLT,
                    RunNumbers.KVM_EXIT_SHUTDOWN,
                    RunNumbers.KVM_EXIT_FAIL_ENTRY,
                    RunNumbers.KVM_EXIT_INTERNAL_ERROR,
                    RunNumbers.KVM_EXIT_INTR,
                    RunNumbers.KVM_EXIT_IRQ_WINDOW_OPEN -> false;
            default -> true;
        };
    }

    /**
     * Has the kernel finish the last exit, as it does on the next entry, so that the state is that after the instruction. Lets the guest run no
     * further instruction.
     */
    void settle() {
        if (!unfinished || early) {
            return;
        }
        answer.finish();
        page.setImmediateExit(true);
        int result = Libc.ioctl(vcpu, RUN, 0L);
        page.setImmediateExit(false);
        unfinished = false;
        if (result != -Errno.EINTR) {
            // One instruction may leave the guest several times, such as a read across two pages.
            early = true;
            earlyResult = result;
        }
    }
}
