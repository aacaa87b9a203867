package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Capabilities;
import io.github.jkvm.kvm.layout.RunNumbers;
import io.github.jkvm.kvm.layout.Struct;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import io.github.jkvm.kvm.layout.VmIoctls;
import io.github.jkvm.kvm.layout.VmStateCodec;
import io.github.jkvm.kvm.layout.X86Numbers;
import io.github.jkvm.kvm.layout.X86VmStructs;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.IrqChipState;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.PitState;
import io.github.jkvm.x86.X86Vm.MsrExitReason;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;

/** State of an x86 VM: the requests behind {@link io.github.jkvm.x86.X86Vm}. */
final class X86VmState {
    private static final long FOUR_GIB = 1L << 32;
    private static final long TSS_SIZE = 3 * 4096;
    private static final long PAGE_SIZE = 4096;
    private static final int MOST_IOAPIC_PINS = 1024;

    private static final long CHIP_ID = X86VmStructs.KVM_IRQCHIP.offset("chip_id");
    private static final long CHIP = X86VmStructs.KVM_IRQCHIP.offset("chip");
    private static final long PIT_CONFIG_FLAGS = X86VmStructs.KVM_PIT_CONFIG.offset("flags");

    private static final long PMU_ACTION = X86VmStructs.KVM_PMU_EVENT_FILTER.offset("action");
    private static final long PMU_NEVENTS = X86VmStructs.KVM_PMU_EVENT_FILTER.offset("nevents");
    private static final long PMU_FIXED = X86VmStructs.KVM_PMU_EVENT_FILTER.offset("fixed_counter_bitmap");
    private static final long PMU_FLAGS = X86VmStructs.KVM_PMU_EVENT_FILTER.offset("flags");
    private static final long PMU_EVENTS = X86VmStructs.KVM_PMU_EVENT_FILTER.offset("events");

    private static final Map<Integer, String> NO_CHIP =
            Map.of(Errno.ENXIO, "the VM has no interrupt controllers in the hypervisor; call createIrqChip first");
    private static final Map<Integer, String> NO_CHIP_FOR_PIT =
            Map.of(Errno.ENOENT, "there is no interrupt controller; call createIrqChip first");
    private static final Map<Integer, String> NO_PIT =
            Map.of(Errno.ENXIO, "the VM has no timer in the hypervisor; call createPit first");

    private final StructCall vm;

    /**
     * Creates it.
     *
     * @param vm the VM
     */
    X86VmState(OwnedFd vm) {
        this.vm = new StructCall(vm);
    }

    void setTssAddress(GuestAddress address) {
        checkPlace("task state pages", address, TSS_SIZE);
        vm.call(
                VmIoctls.KVM_SET_TSS_ADDR,
                address.value(),
                address.toString(),
                Map.of(
                        Errno.EEXIST, "there is memory at that address; choose pages that are no memory",
                        Errno.EINVAL, "the host refuses this address; it must be below 4 GiB less three pages"));
    }

    void setIdentityMapAddress(GuestAddress address) {
        checkPlace("identity map page", address, PAGE_SIZE);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocateFrom(ValueLayout.JAVA_LONG, address.value());
            vm.call(
                    VmIoctls.KVM_SET_IDENTITY_MAP_ADDR,
                    argument,
                    address.toString(),
                    Map.of(Errno.EINVAL, "there are vCPUs already; call setIdentityMapAddress before createVCpu"));
        }
    }

    private static void checkPlace(String what, GuestAddress address, long size) {
        long value = address.value();
        if (value < 0 || value > FOUR_GIB - size || value % PAGE_SIZE != 0) {
            throw new IllegalArgumentException(what + " at " + address + " (" + size
                    + " bytes) must begin at a multiple of 4096 and end below 4 GiB");
        }
    }

    void setBootCpuId(int id) {
        if (id < 0) {
            throw new IllegalArgumentException("vCPU id " + id + " must be 0 or more");
        }
        StructCall.require(vm.fd(), Capability.SET_BOOT_CPU_ID, "setBootCpuId; vCPU 0 starts");
        vm.call(
                VmIoctls.KVM_SET_BOOT_CPU_ID,
                id,
                "vCPU " + id,
                Map.of(
                        Errno.EBUSY, "there are vCPUs already; call setBootCpuId before createVCpu",
                        Errno.EINVAL, "the host has no such vCPU id"));
    }

    void createIrqChip() {
        StructCall.require(vm.fd(), Capability.IRQCHIP, "createIrqChip");
        vm.call(
                VmIoctls.KVM_CREATE_IRQCHIP,
                0,
                "",
                Map.of(
                        Errno.EEXIST, "there is a controller already",
                        Errno.EINVAL, "there are vCPUs already; call createIrqChip before createVCpu"));
    }

    void enableSplitIrqChip(int ioapicPins) {
        if (ioapicPins < 0 || ioapicPins > MOST_IOAPIC_PINS) {
            throw new IllegalArgumentException(
                    "an IOAPIC with " + ioapicPins + " pins: it must have 0 to " + MOST_IOAPIC_PINS);
        }
        StructCall.require(vm.fd(), Capability.SPLIT_IRQCHIP, "enableSplitIrqChip; createIrqChip may be there");
        enable(
                Capabilities.KVM_CAP_SPLIT_IRQCHIP,
                "SPLIT_IRQCHIP, " + ioapicPins + " pins",
                ioapicPins,
                Map.of(
                        Errno.EEXIST,
                        "there is a controller or a vCPU already; call enableSplitIrqChip once, before createVCpu"));
    }

    private void enable(int capability, String what, long argument, Map<Integer, String> hints) {
        try {
            VmCapability.enable(vm.fd(), capability, argument);
        } catch (KvmException refused) {
            throw vm.refusal(VCpuIoctls.KVM_ENABLE_CAP, refused.errno(), what, hints);
        }
    }

    void createPit() {
        StructCall.require(vm.fd(), Capability.PIT2, "createPit");
        if (!hasInterruptControllers()) {
            // Older kernels create one that interrupts nobody (Linux 6.1 among them).
            throw vm.refusal(VmIoctls.KVM_CREATE_PIT2, Errno.ENOENT, "", NO_CHIP_FOR_PIT);
        }
        vm.set(
                VmIoctls.KVM_CREATE_PIT2,
                X86VmStructs.KVM_PIT_CONFIG,
                "",
                Map.of(Errno.EEXIST, "there is a timer already"),
                config -> config.set(ValueLayout.JAVA_INT, PIT_CONFIG_FLAGS, X86Numbers.KVM_PIT_SPEAKER_DUMMY));
    }

    private boolean hasInterruptControllers() {
        try (Arena arena = Arena.ofConfined()) {
            return vm.fd().tryIoctl(VmIoctls.KVM_GET_IRQCHIP, X86VmStructs.KVM_IRQCHIP.allocate(arena)) >= 0;
        }
    }

    IrqChipState irqChip() {
        return new IrqChipState(
                getChip(X86Numbers.KVM_IRQCHIP_PIC_MASTER, X86VmStructs.KVM_PIC_STATE, VmStateCodec::pic),
                getChip(X86Numbers.KVM_IRQCHIP_PIC_SLAVE, X86VmStructs.KVM_PIC_STATE, VmStateCodec::pic),
                getChip(X86Numbers.KVM_IRQCHIP_IOAPIC, X86VmStructs.KVM_IOAPIC_STATE, VmStateCodec::ioapic));
    }

    private <T> T getChip(int id, Struct state, Function<MemorySegment, T> read) {
        return vm.exchange(
                VmIoctls.KVM_GET_IRQCHIP,
                X86VmStructs.KVM_IRQCHIP,
                "controller " + id,
                NO_CHIP,
                chip -> chip.set(ValueLayout.JAVA_INT, CHIP_ID, id),
                chip -> read.apply(chip.asSlice(CHIP, state.size())));
    }

    void setIrqChip(IrqChipState state) {
        setChip(
                X86Numbers.KVM_IRQCHIP_PIC_MASTER,
                X86VmStructs.KVM_PIC_STATE,
                chip -> VmStateCodec.write(chip, state.master()));
        setChip(
                X86Numbers.KVM_IRQCHIP_PIC_SLAVE,
                X86VmStructs.KVM_PIC_STATE,
                chip -> VmStateCodec.write(chip, state.slave()));
        setChip(
                X86Numbers.KVM_IRQCHIP_IOAPIC,
                X86VmStructs.KVM_IOAPIC_STATE,
                chip -> VmStateCodec.write(chip, state.ioapic()));
    }

    private void setChip(int id, Struct state, Consumer<MemorySegment> write) {
        vm.set(VmIoctls.KVM_SET_IRQCHIP, X86VmStructs.KVM_IRQCHIP, "controller " + id, NO_CHIP, chip -> {
            chip.set(ValueLayout.JAVA_INT, CHIP_ID, id);
            write.accept(chip.asSlice(CHIP, state.size()));
        });
    }

    PitState pit() {
        return vm.get(VmIoctls.KVM_GET_PIT2, X86VmStructs.KVM_PIT_STATE2, NO_PIT, VmStateCodec::pit);
    }

    void setPit(PitState state) {
        vm.set(
                VmIoctls.KVM_SET_PIT2,
                X86VmStructs.KVM_PIT_STATE2,
                "flags 0x" + Integer.toHexString(state.flags()),
                NO_PIT,
                struct -> VmStateCodec.write(struct, state));
    }

    ClockState clock() {
        return vm.get(VmIoctls.KVM_GET_CLOCK, X86VmStructs.KVM_CLOCK_DATA, StructCall.USUAL, VmStateCodec::clock);
    }

    void setClock(ClockState clock) {
        vm.set(
                VmIoctls.KVM_SET_CLOCK,
                X86VmStructs.KVM_CLOCK_DATA,
                clock.toString(),
                Map.of(Errno.EINVAL, "the host does not know one of the flags"),
                struct -> VmStateCodec.write(struct, clock));
    }

    void setMsrExits(Set<MsrExitReason> reasons) {
        StructCall.require(vm.fd(), Capability.X86_USER_SPACE_MSR, "setMsrExits; such accesses fault in the guest");
        long mask = 0;
        for (MsrExitReason reason : reasons) {
            mask |= switch (reason) {
                case INVALID -> RunNumbers.KVM_MSR_EXIT_REASON_INVAL;
                case UNKNOWN -> RunNumbers.KVM_MSR_EXIT_REASON_UNKNOWN;
                case FILTER -> RunNumbers.KVM_MSR_EXIT_REASON_FILTER;
            };
        }
        enable(
                Capabilities.KVM_CAP_X86_USER_SPACE_MSR,
                "X86_USER_SPACE_MSR, " + reasons,
                mask,
                Map.of(Errno.EINVAL, "the host does not know one of the reasons"));
    }

    void setMsrFilter(MsrFilter filter) {
        StructCall.require(vm.fd(), Capability.X86_MSR_FILTER, "setMsrFilter");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment struct = X86VmStructs.KVM_MSR_FILTER.allocate(arena);
            VmStateCodec.write(struct, filter, arena);
            vm.call(
                    VmIoctls.KVM_X86_SET_MSR_FILTER,
                    struct,
                    filter.unlisted() + " but for " + filter.ranges().size() + " ranges",
                    Map.of(
                            Errno.EINVAL,
                            "the host refuses the filter: one that denies what is unlisted needs a range"));
        }
    }

    void setPmuEventFilter(PmuEventFilter filter) {
        StructCall.require(vm.fd(), Capability.PMU_EVENT_FILTER, "setPmuEventFilter");
        try (Arena arena = Arena.ofConfined()) {
            int count = filter.events().size();
            MemorySegment struct = X86VmStructs.KVM_PMU_EVENT_FILTER.allocate(arena, count);
            int action = switch (filter.action()) {
                case ALLOW -> X86Numbers.KVM_PMU_EVENT_ALLOW;
                case DENY -> X86Numbers.KVM_PMU_EVENT_DENY;
            };
            int flags = switch (filter.encoding()) {
                case EVENTS -> 0;
                case MASKED_EVENTS -> X86Numbers.KVM_PMU_EVENT_FLAG_MASKED_EVENTS;
            };
            struct.set(ValueLayout.JAVA_INT, PMU_ACTION, action);
            struct.set(ValueLayout.JAVA_INT, PMU_NEVENTS, count);
            struct.set(ValueLayout.JAVA_INT, PMU_FIXED, filter.fixedCounterBitmap());
            struct.set(ValueLayout.JAVA_INT, PMU_FLAGS, flags);
            for (int i = 0; i < count; i++) {
                struct.set(
                        ValueLayout.JAVA_LONG,
                        PMU_EVENTS + (long) i * Long.BYTES,
                        filter.events().get(i));
            }
            vm.call(
                    VmIoctls.KVM_SET_PMU_EVENT_FILTER,
                    struct,
                    filter.action() + " of " + count + " events",
                    Map.of(
                            Errno.E2BIG, "there are more events than the host takes (300 on most)",
                            Errno.EINVAL,
                                    "a masked event has bits that mean nothing, or the host has no masked events"));
        }
    }
}
