package io.github.jkvm.kvm;

import io.github.jkvm.Bytes;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.layout.RunNumbers;
import org.jspecify.annotations.Nullable;

/** What the program has to say to the last exit: at most one answer, only to an exit that asks for one. */
final class ExitAnswer {
    private static final String NOT_RUN = "it has not run yet";

    private final RunPage page;
    private final String vcpu;
    private @Nullable VmExit asked;

    /** Why there is nothing to answer; null while that is said by {@link #asked}. */
    private @Nullable String whyNot = NOT_RUN;

    ExitAnswer(RunPage page, String vcpu) {
        this.page = page;
        this.vcpu = vcpu;
    }

    /** Takes the exit that {@code run} returns. */
    void ask(VmExit exit) {
        asked = exit;
        whyNot = null;
    }

    /** The kernel has gone on with what is in the page: it is too late for an answer. */
    void finish() {
        if (asked != null) {
            asked = null;
            whyNot = "its last exit was finished, when it was run or its state was read";
        }
    }

    void give(long value) {
        switch (asked) {
            case VmExit.PortIn in -> {
                for (int i = 0; i < in.count(); i++) {
                    page.setElement(page.portData() + (long) i * in.size(), in.size(), value);
                }
            }
            case VmExit.MmioRead ignored -> page.setMmioData(value);
            case VmExit.Hypercall ignored -> page.setU64("hypercall.ret", value);
            case VmExit.ReadMsr ignored -> {
                page.setU64("msr.data", value);
                page.setU8("msr.error", 0);
            }
            case VmExit.WriteMsr ignored -> page.setU8("msr.error", 0);
            case VmExit.Hyperv call
            when call.type() == RunNumbers.KVM_EXIT_HYPERV_HCALL -> page.setU64("hyperv.u.hcall.result", value);
            case VmExit.Xen ignored -> page.setU64("xen.u.hcall.result", value);
            case null, default -> throw notAsked("answer");
        }
        done();
    }

    void give(Bytes data) {
        switch (asked) {
            case VmExit.PortIn in -> {
                checkLength(data, (long) in.size() * in.count(), in);
                page.set(page.portData(), data);
            }
            case VmExit.MmioRead read -> {
                checkLength(data, read.size(), read);
                page.setMmioData(data);
            }
            case null, default -> throw notAsked("bytes as an answer");
        }
        done();
    }

    void fault() {
        if (!(asked instanceof VmExit.ReadMsr || asked instanceof VmExit.WriteMsr)) {
            throw notAsked("fault as an answer");
        }
        page.setU8("msr.error", ExitDecoder.MSR_FAULT);
        done();
    }

    private void done() {
        asked = null;
        whyNot = "its last exit has an answer";
    }

    private static void checkLength(Bytes data, long expected, VmExit exit) {
        if (data.length() != expected) {
            throw new IllegalArgumentException(
                    "the answer has " + data.length() + " bytes; " + exit + " wants exactly " + expected);
        }
    }

    private IllegalStateException notAsked(String what) {
        VmExit last = asked;
        String why =
                last == null ? whyNot : "its last exit was " + last.getClass().getSimpleName();
        return new IllegalStateException(vcpu + " takes no " + what + " now: " + why);
    }
}
