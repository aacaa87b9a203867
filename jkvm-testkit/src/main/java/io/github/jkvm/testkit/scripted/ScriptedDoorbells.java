package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.HypervisorException;
import org.jspecify.annotations.Nullable;

/** The doorbells of one VM, matched as KVM matches ioeventfds (Linux, virt/kvm/eventfd.c, ioeventfd_in_range). */
final class ScriptedDoorbells {
    private final ScriptedVm vm;
    private final OpenChildren<ScriptedDoorbell> open = new OpenChildren<>();

    ScriptedDoorbells(ScriptedVm vm) {
        this.vm = vm;
    }

    Doorbell place(Doorbell.Match match) {
        open.checkOpen();
        if (match.length() == 0) {
            vm.require(Capability.IOEVENTFD_ANY_LENGTH, "a doorbell of any length; give a length");
        }
        vm.require(Capability.IOEVENTFD, "a doorbell; handle the guest's write as an exit instead");
        return open.add(() -> {
            var made = new ScriptedDoorbell(match, open::remove);
            for (ScriptedDoorbell other : open.list()) {
                if (collide(match, other.match())) {
                    throw new HypervisorException(made
                            + " refused: there is a doorbell for these writes already; close it first, or give both a length and a"
                            + " value of their own");
                }
            }
            return made;
        });
    }

    /** Whether the same write could ring both (Linux, virt/kvm/eventfd.c, ioeventfd_check_collision). */
    private static boolean collide(Doorbell.Match one, Doorbell.Match other) {
        if (one.space() != other.space() || one.address() != other.address()) {
            return false;
        }
        if (one.length() == 0 || other.length() == 0) {
            return true;
        }
        return one.length() == other.length()
                && (one.value() == null
                        || other.value() == null
                        || low(one.value(), one.length()) == low(other.value(), one.length()));
    }

    private static long low(@Nullable Long value, int length) {
        return value == null ? 0 : LittleEndian.low(value, length);
    }

    /**
     * Rings the doorbell that a write matches.
     *
     * @param value what is written, with no bits above {@code size} bytes
     * @return false if there is none
     */
    boolean ring(Doorbell.Space space, long address, int size, long value) {
        for (ScriptedDoorbell doorbell : open.list()) {
            Doorbell.Match match = doorbell.match();
            if (match.space() == space
                    && match.address() == address
                    && (match.length() == 0 || match.length() == size)
                    && (match.value() == null || low(match.value(), size) == value)) {
                doorbell.ring();
                return true;
            }
        }
        return false;
    }

    void close() {
        open.close().forEach(ScriptedDoorbell::close);
    }
}
