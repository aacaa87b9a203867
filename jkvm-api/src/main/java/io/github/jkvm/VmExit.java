package io.github.jkvm;

import java.util.List;

/**
 * Why a vCPU stopped running the guest: what {@link VCpu#run()} returns.
 *
 * <p>One record for each reason KVM has on x86 and Arm, with everything it says about it (Linux, Documentation/virt/kvm/api.rst, "The
 * kvm_run structure"). A reason that this library does not know is {@link Unknown}, so that a newer kernel does not
 * break an older program.
 *
 * <p>Some exits want an answer before the vCPU runs on; see {@link VCpu#respond(long)}: {@link PortIn}, {@link MmioRead}, {@link Hypercall},
 * {@link ReadMsr}, {@link WriteMsr}, {@link Hyperv}, {@link Xen}.
 */
public sealed interface VmExit {

    /** The guest executed a halt instruction and no interrupt controller in the hypervisor is there to wait ({@code KVM_EXIT_HLT}). */
    record Halt() implements VmExit {}

    /**
     * The guest reads a port ({@code KVM_EXIT_IO}). Answer with {@link VCpu#respond}.
     *
     * @param port 0 to 0xffff
     * @param size bytes of each element: 1, 2 or 4
     * @param count number of elements; more than 1 for a string instruction
     */
    record PortIn(int port, int size, int count) implements VmExit {}

    /**
     * The guest wrote a port ({@code KVM_EXIT_IO}).
     *
     * @param port 0 to 0xffff
     * @param size bytes of each element: 1, 2 or 4
     * @param count number of elements; more than 1 for a string instruction
     * @param data the elements one after another
     */
    record PortOut(int port, int size, int count, Bytes data) implements VmExit {}

    /**
     * The guest reads an address that is no memory ({@code KVM_EXIT_MMIO}). Answer with {@link VCpu#respond}.
     *
     * @param address the first byte
     * @param size number of bytes, 1 to 8
     */
    record MmioRead(GuestAddress address, int size) implements VmExit {}

    /**
     * The guest wrote an address that is no memory, or only readable ({@code KVM_EXIT_MMIO}).
     *
     * @param address the first byte
     * @param data the bytes, 1 to 8
     */
    record MmioWrite(GuestAddress address, Bytes data) implements VmExit {}

    /** {@link VCpu#interrupt()} was called. */
    record Interrupted() implements VmExit {}

    /** The time given to {@code run} is over. */
    record DeadlineReached() implements VmExit {}

    /** The guest shut down the processor, on x86 by a triple fault ({@code KVM_EXIT_SHUTDOWN}). */
    record Shutdown() implements VmExit {}

    /**
     * The guest asked for power-off, reset or the like through the hypervisor ({@code KVM_EXIT_SYSTEM_EVENT}).
     *
     * @param type what was asked
     * @param rawType the number as KVM gives it
     * @param data further values, their meaning depends on the type
     */
    record SystemEvent(SystemEventType type, int rawType, List<Long> data) implements VmExit {
        /** Copies the data. */
        public SystemEvent {
            data = List.copyOf(data);
        }
    }

    /** What a {@link SystemEvent} says ({@code KVM_SYSTEM_EVENT_*}). */
    enum SystemEventType {
        /** Power off. */
        SHUTDOWN,
        /** Reset. */
        RESET,
        /** The guest's kernel crashed. */
        CRASH,
        /** The guest wakes from a suspended state. */
        WAKEUP,
        /** The guest asks to be suspended. */
        SUSPEND,
        /** An encrypted guest asks to be ended. */
        SEV_TERMINATE,
        /** A TDX guest met a fatal error. */
        TDX_FATAL,
        /** A type this library does not know. */
        OTHER
    }

    /**
     * The processor refused to enter the guest: its state is not a valid one ({@code KVM_EXIT_FAIL_ENTRY}).
     *
     * @param hardwareReason the processor's own code
     * @param cpu the host processor it happened on
     */
    record FailEntry(long hardwareReason, int cpu) implements VmExit {}

    /**
     * The hypervisor could not go on, often because of an instruction that it can't emulate ({@code KVM_EXIT_INTERNAL_ERROR}).
     *
     * @param suberror which of KVM's internal errors: 1 emulation, 2 simultaneous exceptions, 3 delivery of an event, 4 unexpected exit
     * @param data what KVM adds
     */
    @SuppressWarnings("AvoidCommonTypeNames") // the name of the field: KVM_EXIT_INTERNAL_ERROR
    record InternalError(int suberror, List<Long> data) implements VmExit {
        /** Copies the data. */
        public InternalError {
            data = List.copyOf(data);
        }
    }

    /**
     * A memory access of the guest can't be served ({@code KVM_EXIT_MEMORY_FAULT}).
     *
     * @param flags bit 3 is set if the guest took the memory for private
     * @param address where the range begins
     * @param size size of the range in bytes
     */
    record MemoryFault(long flags, GuestAddress address, long size) implements VmExit {}

    /**
     * The guest made a hypercall that the host takes ({@code KVM_EXIT_HYPERCALL}). Answer with {@link VCpu#respond(long)}.
     *
     * @param number which one
     * @param arguments its six arguments
     * @param flags bit 0 is set if the guest is in 64-bit mode (x86)
     */
    record Hypercall(long number, List<Long> arguments, long flags) implements VmExit {
        /** Copies the arguments. */
        public Hypercall {
            arguments = List.copyOf(arguments);
        }
    }

    /**
     * A break point, watch point or single step set by the host ({@code KVM_EXIT_DEBUG}; x86).
     *
     * @param exception the exception vector: 1 debug, 3 break point
     * @param pc linear address of the instruction
     * @param dr6 what happened, as the debug status register tells it
     * @param dr7 the debug control register
     */
    record Debug(int exception, long pc, long dr6, long dr7) implements VmExit {}

    /**
     * A break point, watch point or single step set by the host ({@code KVM_EXIT_DEBUG}; Arm).
     *
     * @param syndrome the exception syndrome (ESR)
     * @param faultAddress the watched address, for a watch point
     */
    record ArmDebug(long syndrome, long faultAddress) implements VmExit {}

    /** The guest can now take an interrupt, as was asked for ({@code KVM_EXIT_IRQ_WINDOW_OPEN}; x86, no irqchip). */
    record IrqWindowOpen() implements VmExit {}

    /** The guest changed its task priority ({@code KVM_EXIT_SET_TPR}; x86, no irqchip). */
    record SetTpr() implements VmExit {}

    /**
     * The guest accesses its task priority register, and the host asked to be told ({@code KVM_EXIT_TPR_ACCESS}; x86).
     *
     * @param rip address of the instruction
     * @param access whether it reads or writes
     */
    record TprAccess(long rip, Access access) implements VmExit {}

    /** Reads or writes. */
    enum Access {
        /** A read. */
        READ,
        /** A write. */
        WRITE
    }

    /**
     * The guest ended a level-triggered interrupt of a split IOAPIC ({@code KVM_EXIT_IOAPIC_EOI}; x86).
     *
     * @param vector the vector that ended
     */
    record IoapicEoi(int vector) implements VmExit {}

    /**
     * The guest reads a model-specific register that the host takes ({@code KVM_EXIT_X86_RDMSR}). Answer with {@link VCpu#respond(long)} or
     * {@link VCpu#respondFault()}.
     *
     * @param index the register
     * @param reason why it left the guest ({@code KVM_MSR_EXIT_REASON_*}): 1 invalid, 2 unknown, 8 filter
     */
    record ReadMsr(int index, int reason) implements VmExit {}

    /**
     * The guest writes a model-specific register that the host takes ({@code KVM_EXIT_X86_WRMSR}). Answer with {@link VCpu#respond(long)}, whose
     * value does not matter, or {@link VCpu#respondFault()}.
     *
     * @param index the register
     * @param reason why it left the guest ({@code KVM_MSR_EXIT_REASON_*}): 1 invalid, 2 unknown, 8 filter
     * @param value what is written
     */
    record WriteMsr(int index, int reason, long value) implements VmExit {}

    /** The ring of dirty pages is full: collect and reset it, then run on ({@code KVM_EXIT_DIRTY_RING_FULL}). */
    record DirtyRingFull() implements VmExit {}

    /** An encrypted guest's processor waits to be started ({@code KVM_EXIT_AP_RESET_HOLD}). */
    record ApResetHold() implements VmExit {}

    /** The guest locked the memory bus ({@code KVM_EXIT_X86_BUS_LOCK}). */
    record BusLock() implements VmExit {}

    /**
     * The guest kept the processor from taking interrupts too long ({@code KVM_EXIT_NOTIFY}; x86).
     *
     * @param flags bit 0 is set if the guest's state is corrupt and it can't run on
     */
    record Notify(long flags) implements VmExit {}

    /**
     * Something a Hyper-V guest asks of user space ({@code KVM_EXIT_HYPERV}; x86). Answer a hypercall with {@link VCpu#respond(long)}.
     *
     * @param type 1 synthetic interrupt controller, 2 hypercall, 3 synthetic debugger
     * @param data the structure that KVM gives, from its first field after the type
     */
    record Hyperv(int type, Bytes data) implements VmExit {}

    /**
     * A hypercall of a Xen guest ({@code KVM_EXIT_XEN}; x86). Answer with {@link VCpu#respond(long)}.
     *
     * @param type 1 hypercall
     * @param longMode 1 if the guest is in 64-bit mode
     * @param cpl the guest's privilege level
     * @param input the hypercall's number
     * @param parameters its six parameters
     */
    record Xen(int type, int longMode, int cpl, long input, List<Long> parameters) implements VmExit {
        /** Copies the parameters. */
        public Xen {
            parameters = List.copyOf(parameters);
        }
    }

    /**
     * An access outside memory by an instruction that Arm does not describe ({@code KVM_EXIT_ARM_NISV}).
     *
     * @param syndrome the instruction-specific syndrome
     * @param faultAddress guest-physical address
     */
    record ArmNisv(long syndrome, long faultAddress) implements VmExit {}

    /**
     * An exception of the guest reached the host, which ends nothing by itself ({@code KVM_EXIT_EXCEPTION}).
     *
     * @param exception the vector
     * @param errorCode the error code
     */
    record GuestException(int exception, int errorCode) implements VmExit {}

    /** A non-maskable interrupt of the host ({@code KVM_EXIT_NMI}). */
    record Nmi() implements VmExit {}

    /** The guest's watchdog expired ({@code KVM_EXIT_WATCHDOG}). */
    record Watchdog() implements VmExit {}

    /**
     * A reason that this library does not know or that belongs to another architecture.
     *
     * @param reason KVM's number ({@code KVM_EXIT_*})
     * @param raw the 256 bytes that describe it, as KVM left them
     */
    record Unknown(int reason, Bytes raw) implements VmExit {}
}
