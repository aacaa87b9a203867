package io.github.jkvm.testkit;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.X86Hypervisor;
import java.util.List;

/** The one hypervisor of the JVM's micro-guests, and what they ask of it each. Opened when first needed, and closed by the end of the JVM. */
final class SharedHypervisor {
    private static final class Holder {
        static final Hypervisor HYPERVISOR = Hypervisor.open();
        static final List<CpuidEntry> CPUID = X86Hypervisor.of(HYPERVISOR).supportedCpuid();
    }

    private SharedHypervisor() {}

    static Hypervisor hypervisor() {
        return Holder.HYPERVISOR;
    }

    static List<CpuidEntry> cpuid() {
        return Holder.CPUID;
    }
}
