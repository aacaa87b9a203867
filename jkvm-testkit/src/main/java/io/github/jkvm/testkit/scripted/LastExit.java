package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Bytes;
import io.github.jkvm.VmExit;
import org.jspecify.annotations.Nullable;

/** The exit that {@code run} last returned: what finishes it, and who may still answer it. */
final class LastExit {
    private final String vcpu;
    private @Nullable Step step;
    private boolean open;
    private String whyNot = "it has not run yet";

    LastExit(String vcpu) {
        this.vcpu = vcpu;
    }

    /** Takes an exit that is returned, and the step that it belongs to. */
    void returned(Step left, VmExit exit) {
        step = left;
        open = true;
        whyNot = "its last exit was " + exit.getClass().getSimpleName();
    }

    /** Completes the instruction, as the next run does: it is too late for an answer. */
    void finish() {
        if (step != null) {
            step.finish();
            step = null;
        }
        if (open) {
            open = false;
            whyNot = "its last exit was finished, when it was run or its state was read";
        }
    }

    /** Completes the instruction so that the state is that after it. */
    void settle() {
        if (step instanceof Step.Leave) {
            return; // there is nothing to complete
        }
        finish();
    }

    void give(long value) {
        if (!(asked() instanceof AnsweredStep asked) || !asked.give(value)) {
            throw notAsked("answer");
        }
        answered();
    }

    void give(Bytes data) {
        if (!(asked() instanceof AnsweredStep asked) || !asked.give(data)) {
            throw notAsked("bytes as an answer");
        }
        answered();
    }

    void giveFault() {
        if (!(asked() instanceof AnsweredStep asked) || !asked.giveFault()) {
            throw notAsked("fault as an answer");
        }
        answered();
    }

    private @Nullable Step asked() {
        return open ? step : null;
    }

    private void answered() {
        open = false;
        whyNot = "its last exit has an answer";
    }

    static void checkLength(Bytes data, int expected, VmExit exit) {
        if (data.length() != expected) {
            throw new IllegalArgumentException(
                    "the answer has " + data.length() + " bytes; " + exit + " wants exactly " + expected);
        }
    }

    private IllegalStateException notAsked(String what) {
        return new IllegalStateException(vcpu + " takes no " + what + " now: " + whyNot);
    }
}
