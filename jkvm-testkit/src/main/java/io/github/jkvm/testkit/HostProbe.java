package io.github.jkvm.testkit;

import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg8.AL;

import io.github.jkvm.Availability;
import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VmExit;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import java.time.Duration;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/** Learns once in a JVM what the host can do. */
final class HostProbe {
    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final int PORT = 0xE9;
    private static final byte ANSWER = 0x42;

    /** The vector of {@code int3} (SDM volume 3, 7.3.1). */
    private static final int BREAKPOINT = 3;

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
            for (HostFeature feature : HostFeature.values()) {
                String whyNot = hypervisor instanceof X86Hypervisor ? whyNot(feature, hypervisor) : "not an x86 host";
                if (!whyNot.isEmpty()) {
                    missing.put(feature, whyNot);
                }
            }
            return new Result(availability, capabilities, hypervisor.maxVCpus(), missing);
        } catch (HypervisorException e) {
            return new Result(Availability.no("the probe failed: " + e.getMessage()), Set.of(), 0, Map.of());
        }
    }

    /** Tries a feature; returns what happened instead, or an empty text. */
    private static String whyNot(HostFeature feature, Hypervisor hypervisor) {
        return switch (feature) {
            // No emulator knows it, and every processor that runs KVM does: it is part of x86-64-v2.
            case HARDWARE_VIRTUALIZATION ->
                otherThanAnswer(
                        hypervisor,
                        "popcnt in 64-bit mode",
                        code -> code.popcnt(EAX, EAX).mov(AL, ANSWER).out(PORT, AL));
            case LONG_MODE_EXCEPTIONS ->
                otherThanAnswer(
                        hypervisor, "int3 in 64-bit mode", code -> code.int3().hlt());
        };
    }

    /** Runs code in 64-bit mode that is to answer, itself or in its handler of int3; returns what it ended in instead, or an empty text. */
    private static String otherThanAnswer(Hypervisor hypervisor, String what, Consumer<Assembler> program) {
        long entry = LongMode.FREE;
        long handler = LongMode.FREE + 0x100;
        long stack = LongMode.FREE + 0x1000;
        try (var vm = hypervisor.createVm()) {
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(1 << 16));
            X86VCpu vcpu = X86VCpu.of(vm.createVCpu(0));
            LongMode.enter(vcpu, vm.memory(), entry, stack);
            LongMode.setHandler(vm.memory(), BREAKPOINT, handler);
            load(vm.memory(), entry, program);
            load(vm.memory(), handler, code -> code.mov(AL, ANSWER).out(PORT, AL));
            VmExit exit = vcpu.run(LIMIT);
            boolean answered = exit instanceof VmExit.PortOut out
                    && out.port() == PORT
                    && out.data().at(0) == ANSWER;
            return answered ? "" : what + " ended in " + exit;
        } catch (HypervisorException e) {
            return what + " ended in: " + e.getMessage();
        }
    }

    private static void load(GuestMemory memory, long address, Consumer<Assembler> program) {
        Assembler assembler = new Assembler(Mode.BITS64, address);
        program.accept(assembler);
        assembler.assemble().load(memory);
    }
}
