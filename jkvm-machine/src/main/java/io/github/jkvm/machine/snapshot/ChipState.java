package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.IrqChipState;
import io.github.jkvm.x86.PitState;
import io.github.jkvm.x86.X86Vm;
import java.util.List;

/**
 * What the hypervisor has of a board besides vCPUs and memory.
 *
 * @param irqChip interrupt controllers; none on a board without
 * @param pit timer; none on a board without
 * @param clock the paravirtual clock
 */
public record ChipState(List<IrqChipState> irqChip, List<PitState> pit, ClockState clock) {
    /** Documentation/virt/kvm/api.rst, 4.30: {@code realtime} is valid, and the time since then is added to the clock. */
    private static final int KVM_CLOCK_REALTIME = 1 << 2;

    private static final RecordCodec<ChipState> CODEC = new RecordCodec<>(ChipState.class);

    /**
     * Reads the state.
     *
     * @param vm a VM whose vCPUs don't run
     * @param irqChip whether it has interrupt controllers in the hypervisor
     * @param pit whether it has a timer there
     * @return the state
     */
    public static ChipState capture(X86Vm vm, boolean irqChip, boolean pit) {
        return new ChipState(
                irqChip ? List.of(vm.irqChip()) : List.of(), pit ? List.of(vm.pit()) : List.of(), vm.clock());
    }

    /**
     * Sets the state. The guest's clock goes on as if it had run on since the state was read, where the host knows how long ago that is.
     *
     * @param vm a VM whose vCPUs have their states and have not run
     */
    public void apply(X86Vm vm) {
        pit.forEach(vm::setPit);
        vm.setClock(new ClockState(clock.clock(), clock.flags() & KVM_CLOCK_REALTIME, clock.realtime(), 0));
        irqChip.forEach(vm::setIrqChip);
    }

    static String layout() {
        return CODEC.layout();
    }

    Bytes encode() {
        return Bytes.copyOf(CODEC.encode(this));
    }

    /**
     * Reads what {@link #encode} wrote.
     *
     * @throws IllegalArgumentException if the bytes are no such state
     */
    static ChipState decode(byte[] bytes) {
        return CODEC.decode(bytes);
    }
}
