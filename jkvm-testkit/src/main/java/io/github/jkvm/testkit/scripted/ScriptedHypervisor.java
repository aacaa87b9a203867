package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.X86Hypervisor;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A hypervisor in memory, whose guests are {@link GuestProgram}s. See the package for what it is for.
 *
 * <p>Safe for use by many threads.
 */
public final class ScriptedHypervisor implements X86Hypervisor {
    private static final AtomicInteger VMS = new AtomicInteger();
    private static final int DEFAULT_VCPUS = 64;
    private static final int DEFAULT_REGIONS = 512;

    // Leaf 0 names the maker in EBX, EDX, ECX (SDM volume 2, CPUID): "ScriptedJkvm".
    private static final int MAKER_EBX = 0x6972_6353;
    private static final int MAKER_EDX = 0x6465_7470;
    private static final int MAKER_ECX = 0x6D76_6B4A;
    private static final int EXTENDED = 0x8000_0000;
    // Leaf 1: family 6 model 1; FPU, TSC, MSR, PAE, CX8, APIC, CMOV, MMX, FXSR, SSE, SSE2 in EDX; hypervisor in ECX.
    private static final int SIGNATURE = 0x610;
    private static final int FEATURES_EDX = 0x0700_8371;
    private static final int FEATURES_ECX = 1 << 31;
    // Leaf 0x80000001: SYSCALL and long mode; leaf 0x80000008: 40 bits of physical and 48 of linear addresses.
    private static final int EXTENDED_EDX = 1 << 29 | 1 << 11;
    private static final int ADDRESS_WIDTHS = 48 << 8 | 40;

    private static final Set<Capability> ALL = Set.copyOf(EnumSet.of(
            Capability.IRQCHIP,
            Capability.SPLIT_IRQCHIP,
            Capability.PIT2,
            Capability.IRQFD,
            Capability.IRQFD_RESAMPLE,
            Capability.IOEVENTFD,
            Capability.IOEVENTFD_ANY_LENGTH,
            Capability.SIGNAL_MSI,
            Capability.IRQ_ROUTING,
            Capability.READONLY_MEMORY,
            Capability.IMMEDIATE_EXIT,
            Capability.X86_USER_SPACE_MSR,
            Capability.X86_MSR_FILTER,
            Capability.SREGS2,
            Capability.TSC_CONTROL,
            Capability.SET_BOOT_CPU_ID,
            Capability.EXIT_HYPERCALL));

    private final GuestProgram program;
    private final Map<Integer, GuestProgram> programs;
    private final Set<Capability> capabilities;
    private final int vcpuLimit;
    private final int regionLimit;
    private final Set<ScriptedVm> vms = new LinkedHashSet<>();
    private boolean closed;

    private ScriptedHypervisor(Builder builder) {
        this.program = builder.program;
        this.programs = Map.copyOf(builder.programs);
        this.capabilities = Set.copyOf(builder.capabilities);
        this.vcpuLimit = builder.vcpuLimit;
        this.regionLimit = builder.regionLimit;
    }

    /**
     * Returns a hypervisor whose guests halt at once, for code that only builds VMs.
     *
     * @return an open hypervisor
     */
    public static ScriptedHypervisor create() {
        return builder().build();
    }

    /**
     * Returns a hypervisor all of whose vCPUs run a program.
     *
     * @param program what each vCPU does, from its beginning; {@link ScriptedGuest#vcpuId()} tells them apart
     * @return an open hypervisor
     */
    public static ScriptedHypervisor running(GuestProgram program) {
        return builder().program(program).build();
    }

    /**
     * Returns a builder of a hypervisor that claims all it has, and whose guests halt at once.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /** Says what a {@link ScriptedHypervisor} is like. Not for use by several threads. */
    public static final class Builder {
        private final Map<Integer, GuestProgram> programs = new HashMap<>();
        private final Set<Capability> capabilities = EnumSet.copyOf(ALL);
        private GuestProgram program = guest -> {};
        private int vcpuLimit = DEFAULT_VCPUS;
        private int regionLimit = DEFAULT_REGIONS;

        private Builder() {}

        /**
         * Sets what vCPUs do that have no program of their own.
         *
         * @param everywhere the program
         * @return this builder
         */
        public Builder program(GuestProgram everywhere) {
            program = everywhere;
            return this;
        }

        /**
         * Sets what one vCPU of each VM does.
         *
         * @param vcpu its number, from 0
         * @param own the program
         * @return this builder
         * @throws IllegalArgumentException if the number is negative
         */
        public Builder program(int vcpu, GuestProgram own) {
            if (vcpu < 0) {
                throw new IllegalArgumentException("vCPU id " + vcpu + " must be 0 or more");
            }
            programs.put(vcpu, own);
            return this;
        }

        /**
         * Leaves capabilities out, to test what the code does on a host that lacks them.
         *
         * @param missing the capabilities; those that it never has make no difference
         * @return this builder
         */
        public Builder without(Capability... missing) {
            capabilities.removeAll(Set.of(missing));
            return this;
        }

        /**
         * Sets how many vCPUs a VM can have.
         *
         * @param limit 1 or more; 64 if it is not set
         * @return this builder
         * @throws IllegalArgumentException if it is below 1
         */
        public Builder maxVCpus(int limit) {
            vcpuLimit = atLeastOne("vCPUs", limit);
            return this;
        }

        /**
         * Sets how many memory regions a VM can have.
         *
         * @param limit 1 or more; 512 if it is not set
         * @return this builder
         * @throws IllegalArgumentException if it is below 1
         */
        public Builder maxMemoryRegions(int limit) {
            regionLimit = atLeastOne("memory regions", limit);
            return this;
        }

        private static int atLeastOne(String what, int limit) {
            if (limit < 1) {
                throw new IllegalArgumentException("most " + what + " " + limit + " must be 1 or more");
            }
            return limit;
        }

        /**
         * Makes the hypervisor.
         *
         * @return an open hypervisor
         */
        public ScriptedHypervisor build() {
            return new ScriptedHypervisor(this);
        }
    }

    @Override
    public String description() {
        return "scripted hypervisor (guests are Java programs)";
    }

    @Override
    public boolean supports(Capability capability) {
        checkOpen();
        return capabilities.contains(capability);
    }

    @Override
    public int maxVCpus() {
        checkOpen();
        return vcpuLimit;
    }

    @Override
    public int maxMemoryRegions() {
        checkOpen();
        return regionLimit;
    }

    @Override
    public MemoryImage createMemoryImage(long size, String name) {
        checkOpen();
        return ScriptedMemory.createImage(size, name);
    }

    @Override
    public MemoryImage openMemoryImage(Path file) {
        checkOpen();
        return ScriptedMemory.openImage(file);
    }

    @Override
    public ScriptedVm createVm() {
        synchronized (vms) {
            checkOpen();
            var vm = new ScriptedVm(this, VMS.incrementAndGet());
            vms.add(vm);
            return vm;
        }
    }

    @Override
    public List<CpuidEntry> supportedCpuid() {
        checkOpen();
        return List.of(
                new CpuidEntry(0, 0, 0, 1, MAKER_EBX, MAKER_ECX, MAKER_EDX),
                new CpuidEntry(1, 0, 0, SIGNATURE, 0, FEATURES_ECX, FEATURES_EDX),
                new CpuidEntry(EXTENDED, 0, 0, EXTENDED + 8, 0, 0, 0),
                new CpuidEntry(EXTENDED + 1, 0, 0, 0, 0, 0, EXTENDED_EDX),
                new CpuidEntry(EXTENDED + 8, 0, 0, ADDRESS_WIDTHS, 0, 0, 0));
    }

    @Override
    public List<CpuidEntry> emulatedCpuid() {
        checkOpen();
        return List.of();
    }

    @Override
    public List<Integer> msrIndices() {
        checkOpen();
        return MsrState.INDICES;
    }

    @Override
    public List<Integer> featureMsrIndices() {
        checkOpen();
        return List.of();
    }

    @Override
    public List<Msr> featureMsrs(List<Integer> indices) {
        checkOpen();
        if (!indices.isEmpty()) {
            throw new HypervisorException("MSR 0x" + Integer.toHexString(indices.getFirst())
                    + " refused: a scripted hypervisor has no registers that tell what it can do");
        }
        return List.of();
    }

    Set<Capability> capabilities() {
        return capabilities;
    }

    int vcpuLimit() {
        return vcpuLimit;
    }

    int regionLimit() {
        return regionLimit;
    }

    GuestProgram programOf(int vcpu) {
        return programs.getOrDefault(vcpu, program);
    }

    void vmClosed(ScriptedVm vm) {
        synchronized (vms) {
            vms.remove(vm);
        }
    }

    private void checkOpen() {
        synchronized (vms) {
            if (closed) {
                throw new IllegalStateException(description() + " is closed");
            }
        }
    }

    @Override
    public void close() {
        List<ScriptedVm> open;
        synchronized (vms) {
            closed = true;
            open = List.copyOf(vms);
        }
        open.forEach(ScriptedVm::close);
    }

    /** Returns what {@link #description()} does. */
    @Override
    public String toString() {
        return description();
    }
}
