package io.github.jkvm.machine;

import java.util.Objects;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * How a machine's run ended.
 *
 * @param reason the kind of end
 * @param detail one or more lines for a person: which device or processor, and for {@link Reason#ERROR} the registers
 * @param exitCode what the guest wrote to its exit port, present for {@link Reason#EXIT_CODE} only
 * @param cause what was thrown, for {@link Reason#ERROR}, if something was
 */
public record MachineExit(
        Reason reason,
        String detail,
        OptionalInt exitCode,
        @Nullable Throwable cause) {

    /** A kind of end. */
    public enum Reason {
        /** Every vCPU halted, and nothing can wake one ({@link Board#MICRO}). */
        HALT,
        /** The guest switched off. */
        POWER_OFF,
        /** The guest asked the hypervisor to shut down. */
        SHUTDOWN,
        /** The guest restarted; the machine does not start again by itself. */
        RESET,
        /** The guest's kernel told that it crashed. */
        PANIC,
        /** The guest gave an exit code. */
        EXIT_CODE,
        /** A processor met a fault while it handled a fault while it handled a fault. */
        TRIPLE_FAULT,
        /** The time given to the run was over. */
        DEADLINE,
        /** The host stopped the machine. */
        STOPPED,
        /** The machine could not go on. */
        ERROR
    }

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if there is an exit code with another reason than {@link Reason#EXIT_CODE}, or none with it
     */
    public MachineExit {
        Objects.requireNonNull(detail, "detail");
        if (exitCode.isPresent() != (reason == Reason.EXIT_CODE)) {
            throw new IllegalArgumentException("machine exit " + reason + " with exit code " + exitCode
                    + ": a code belongs to EXIT_CODE and to no other reason");
        }
    }

    static MachineExit of(Reason reason, String detail) {
        return new MachineExit(reason, detail, OptionalInt.empty(), null);
    }

    static MachineExit withCode(int code, String detail) {
        return new MachineExit(Reason.EXIT_CODE, detail, OptionalInt.of(code), null);
    }

    static MachineExit error(String detail, @Nullable Throwable cause) {
        return new MachineExit(Reason.ERROR, detail, OptionalInt.empty(), cause);
    }

    /** Returns reason, code and detail, such as {@code EXIT_CODE 3: debug-exit}. */
    @Override
    public String toString() {
        String code = exitCode.isPresent() ? " " + exitCode.getAsInt() : "";
        return reason + code + ": " + detail;
    }
}
