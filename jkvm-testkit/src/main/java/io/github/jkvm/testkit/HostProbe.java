package io.github.jkvm.testkit;

import io.github.jkvm.Availability;
import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import java.time.Duration;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;

/** Learns once in a JVM what the host can do. */
final class HostProbe {
    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final int PORT = 0xE9;

    /**
     * What was learnt.
     *
     * @param availability whether there is a hypervisor at all
     * @param capabilities what it says it can do
     * @param maxVCpus most vCPUs of a VM, 0 without a hypervisor
     * @param missingFeatures what the probe guests could not do, and what happened instead
     */
    record Result(
            Availability availability,
            Set<Capability> capabilities,
            int maxVCpus,
            Map<HostFeature, String> missingFeatures) {}

    /** Runs the probe when first asked. */
    private static final class Holder {
        static final Result RESULT = probe();
    }

    private HostProbe() {}

    static Result result() {
        return Holder.RESULT;
    }

    private static Result probe() {
        Availability availability = Hypervisor.available();
        if (!availability.available()) {
            return new Result(availability, Set.of(), 0, Map.of());
        }
        try (Hypervisor hypervisor = Hypervisor.open()) {
            Set<Capability> capabilities = EnumSet.noneOf(Capability.class);
            for (Capability capability : Capability.values()) {
                if (hypervisor.supports(capability)) {
                    capabilities.add(capability);
                }
            }
            Map<HostFeature, String> missing = new EnumMap<>(HostFeature.class);
            String whyNot = hypervisor instanceof X86Hypervisor ? whyNoExceptions(hypervisor) : "not an x86 host";
            if (!whyNot.isEmpty()) {
                missing.put(HostFeature.LONG_MODE_EXCEPTIONS, whyNot);
            }
            return new Result(availability, capabilities, hypervisor.maxVCpus(), missing);
        } catch (HypervisorException e) {
            return new Result(Availability.no("the probe failed: " + e.getMessage()), Set.of(), 0, Map.of());
        }
    }

    /** Runs {@code int3} in 64-bit mode; returns what happened instead of its handler, or an empty text. */
    private static String whyNoExceptions(Hypervisor hypervisor) {
        long entry = LongMode.FREE;
        long handler = LongMode.FREE + 0x100;
        long stack = LongMode.FREE + 0x1000;
        byte answer = 0x42;
        try (var vm = hypervisor.createVm()) {
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(1 << 16));
            X86VCpu vcpu = X86VCpu.of(vm.createVCpu(0));
            LongMode.enter(vcpu, vm.memory(), entry, stack);
            LongMode.setHandler(vm.memory(), 3, handler);
            vm.memory().write(entry, new byte[] {(byte) 0xCC, (byte) 0xF4}); // int3; hlt
            vm.memory().write(handler, new byte[] {(byte) 0xB0, answer, (byte) 0xE6, (byte) PORT
            }); // mov al, answer; out PORT, al
            VmExit exit = vcpu.run(LIMIT);
            boolean handled = exit instanceof VmExit.PortOut out
                    && out.port() == PORT
                    && out.data().at(0) == answer;
            return handled ? "" : "int3 in 64-bit mode ended in " + exit;
        } catch (HypervisorException e) {
            return "int3 in 64-bit mode ended in: " + e.getMessage();
        }
    }
}
