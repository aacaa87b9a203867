package io.github.jkvm.testkit.scripted;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.IrqChipState;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.PitState;
import io.github.jkvm.x86.X86Vm.MsrExitReason;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What an x86 VM has beside its vCPUs, which holds what is put into it. Safe for use by many threads. */
final class PlatformState {
    private static final long FOUR_GIB = 1L << 32;
    private static final long PAGE_SIZE = 4096;
    private static final long IOAPIC_BASE = 0xFEC0_0000L;
    private static final long REDIRECTION_MASKED = 1 << 16;

    private @Nullable IrqChipState irqChip;
    private @Nullable PitState pit;
    private ClockState clock = new ClockState(0, 0, 0, 0);
    private volatile Set<MsrExitReason> msrExits = Set.of();
    private volatile @Nullable MsrFilter msrFilter;

    static void checkPlace(String what, GuestAddress address, int pages) {
        long size = pages * PAGE_SIZE;
        long value = address.value();
        if (value < 0 || value > FOUR_GIB - size || value % PAGE_SIZE != 0) {
            throw new IllegalArgumentException(what + " at " + address + " (" + size
                    + " bytes) must begin at a multiple of 4096 and end below 4 GiB");
        }
    }

    synchronized void createIrqChip() {
        var pic = new IrqChipState.Pic(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        irqChip = new IrqChipState(
                pic, pic, new IrqChipState.Ioapic(IOAPIC_BASE, 0, 0, 0, Collections.nCopies(24, REDIRECTION_MASKED)));
    }

    synchronized void createPit() {
        if (irqChip == null) {
            throw new HypervisorException("createPit(): there is no interrupt controller; call createIrqChip first");
        }
        if (pit != null) {
            throw new HypervisorException("createPit(): there is a timer already");
        }
        var channel = new PitState.Channel(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        pit = new PitState(List.of(channel, channel, channel), 0);
    }

    synchronized IrqChipState irqChip() {
        if (irqChip == null) {
            throw new HypervisorException(
                    "the VM has no interrupt controllers in the hypervisor; call createIrqChip first");
        }
        return irqChip;
    }

    synchronized void setIrqChip(IrqChipState state) {
        irqChip();
        irqChip = state;
    }

    synchronized PitState pit() {
        if (pit == null) {
            throw new HypervisorException("the VM has no timer in the hypervisor; call createPit first");
        }
        return pit;
    }

    synchronized void setPit(PitState state) {
        pit();
        pit = state;
    }

    synchronized ClockState clock() {
        return clock;
    }

    synchronized void setClock(ClockState state) {
        clock = state;
    }

    void setMsrExits(Set<MsrExitReason> reasons) {
        msrExits = Set.copyOf(reasons);
    }

    void setMsrFilter(MsrFilter filter) {
        msrFilter = filter;
    }

    boolean leaves(MsrExitReason reason) {
        return msrExits.contains(reason);
    }

    /** Tells whether the filter keeps the guest from a register. A range that covers it decides; the first such, as in KVM. */
    boolean denies(int index, MsrFilter.Access access) {
        MsrFilter filter = msrFilter;
        if (filter == null) {
            return false;
        }
        for (MsrFilter.Range range : filter.ranges()) {
            int offset = index - range.base();
            if (Integer.compareUnsigned(offset, range.count()) < 0
                    && range.accesses().contains(access)) {
                return !range.allowed().get(offset);
            }
        }
        return filter.unlisted() == MsrFilter.Unlisted.DENY;
    }
}
