package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.RegistersCodec;
import io.github.jkvm.kvm.layout.RunNumbers;
import io.github.jkvm.kvm.layout.VCpuStateCodec;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.VCpuEvents;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Registers that the kernel leaves in the run page at every exit and takes from there at the next entry, with no call for either
 * ({@code KVM_CAP_SYNC_REGS}; Linux, Documentation/virt/kvm/api.rst). For programs that look at the guest at most exits. Made by
 * {@link KvmX86VCpu#syncedRegisters()}.
 *
 * <p>What is set here counts from the next run on, over what is set by the vCPU's own methods meanwhile. Every method throws
 * {@link IllegalStateException} if the vCPU is closed or another thread runs it.
 */
public final class SyncedRegisters {

    /** What is shared. */
    public enum Part {
        /** The general-purpose registers. */
        REGISTERS(RunNumbers.KVM_SYNC_X86_REGS, "s.regs.regs"),
        /** Segments and control registers. */
        SPECIAL_REGISTERS(RunNumbers.KVM_SYNC_X86_SREGS, "s.regs.sregs"),
        /** Events on their way into the vCPU. */
        EVENTS(RunNumbers.KVM_SYNC_X86_EVENTS, "s.regs.events");

        private final long bit;
        private final String path;

        Part(long bit, String path) {
            this.bit = bit;
            this.path = path;
        }
    }

    private final OwnedFd vm;
    private final KvmVCpu vcpu;

    SyncedRegisters(OwnedFd vm, KvmVCpu vcpu) {
        this.vm = vm;
        this.vcpu = vcpu;
    }

    /**
     * Chooses what is left in the page from the next exit on.
     *
     * @param parts what; empty for nothing
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host lacks {@link Capability#SYNC_REGS}
     */
    public void share(Set<Part> parts) {
        requireSharing();
        long bits = parts.stream().mapToLong(part -> part.bit).reduce(0, (a, b) -> a | b);
        vcpu.withState(() -> {
            vcpu.page().setU64("kvm_valid_regs", bits);
            return true;
        });
    }

    /**
     * Returns the general-purpose registers as they were at the last exit, or as they were set since.
     *
     * @return the registers
     * @throws IllegalStateException if they are not shared
     */
    public Registers registers() {
        return read(Part.REGISTERS, RegistersCodec::registers);
    }

    /**
     * Sets the general-purpose registers for the next run.
     *
     * @param registers the registers
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host lacks {@link Capability#SYNC_REGS}
     */
    public void setRegisters(Registers registers) {
        write(Part.REGISTERS, struct -> RegistersCodec.write(struct, registers));
    }

    /**
     * Returns the special registers as they were at the last exit, or as they were set since.
     *
     * @return the registers
     * @throws IllegalStateException if they are not shared
     */
    public SpecialRegisters specialRegisters() {
        return read(Part.SPECIAL_REGISTERS, RegistersCodec::specialRegisters);
    }

    /**
     * Sets the special registers for the next run, which fails if they fit no mode of the processor.
     *
     * @param registers the registers
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host lacks {@link Capability#SYNC_REGS}
     */
    public void setSpecialRegisters(SpecialRegisters registers) {
        write(Part.SPECIAL_REGISTERS, struct -> {
            RegistersCodec.write(struct, registers);
            vcpu.page().setCr8(registers.cr8());
        });
    }

    /**
     * Returns the events as they were at the last exit, or as they were set since.
     *
     * @return the events
     * @throws IllegalStateException if they are not shared
     */
    public VCpuEvents events() {
        return read(Part.EVENTS, VCpuStateCodec::events);
    }

    /**
     * Sets the events for the next run, which fails if the kernel refuses them.
     *
     * @param events the events
     * @throws IllegalArgumentException if a part does not fit its field
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host lacks {@link Capability#SYNC_REGS}
     */
    public void setEvents(VCpuEvents events) {
        write(Part.EVENTS, struct -> VCpuStateCodec.write(struct, events));
    }

    private void requireSharing() {
        StructCall.require(vm, Capability.SYNC_REGS, "registers in the run page; use the vCPU's own methods");
    }

    private <T> T read(Part part, Function<MemorySegment, T> read) {
        return vcpu.withState(() -> {
            if ((vcpu.page().u64("kvm_valid_regs") & part.bit) == 0) {
                throw new IllegalStateException(part + " of " + vcpu
                        + " are not in the run page; call share(Set.of(Part." + part + ")) before");
            }
            return read.apply(vcpu.page().part(part.path));
        });
    }

    private void write(Part part, Consumer<MemorySegment> write) {
        requireSharing();
        vcpu.withState(() -> {
            write.accept(vcpu.page().part(part.path));
            vcpu.page().setU64("kvm_dirty_regs", vcpu.page().u64("kvm_dirty_regs") | part.bit);
            return true;
        });
    }
}
