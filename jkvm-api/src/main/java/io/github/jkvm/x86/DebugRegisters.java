package io.github.jkvm.x86;

import java.util.List;

/**
 * The guest's debug registers ({@code struct kvm_debugregs}).
 *
 * @param db the four break point addresses
 * @param dr6 status
 * @param dr7 control
 * @param flags none are defined: 0
 */
public record DebugRegisters(List<Long> db, long dr6, long dr7, long flags) {
    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if there are not four addresses
     */
    public DebugRegisters {
        db = List.copyOf(db);
        if (db.size() != 4) {
            throw new IllegalArgumentException("got " + db.size() + " break point addresses; there are 4");
        }
    }
}
