package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Availability;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.spi.HypervisorProvider;
import io.github.jkvm.testkit.GuestStop;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.asm.Assembler;
import java.time.Duration;

/** What runs in a JVM of its own, whose host or class path has no KVM. */
final class WithoutKvm {
    private WithoutKvm() {}

    /** A provider as the guide shows it, for code that calls {@link Hypervisor#open()} itself. */
    public static final class Provider implements HypervisorProvider {
        /** Creates the provider. */
        public Provider() {}

        @Override
        public String name() {
            return "scripted";
        }

        @Override
        public Availability availability() {
            return Availability.yes("guests are Java programs");
        }

        @Override
        public Hypervisor open() {
            return ScriptedHypervisor.running(BootCheckTest.HEALTHY);
        }
    }

    /** Looks for a hypervisor, then tests by the one in memory. */
    public static void main(String[] arguments) throws Exception {
        Availability availability = Hypervisor.available();
        System.out.println("found: " + availability.available() + ", " + availability.reason());
        if (availability.available()) {
            try (Hypervisor hypervisor = Hypervisor.open()) {
                System.out.println("opened: " + hypervisor.description());
            }
        }
        try (var hypervisor = ScriptedHypervisor.running(BootCheckTest.HEALTHY)) {
            String line = new BootCheck(hypervisor).firstLine(BootCheckTest.KERNEL, Duration.ofSeconds(30));
            System.out.println("machine: " + line);
        }
        GuestProgram reports = guest -> guest.portOut(MicroGuest.REPORT_PORT, 1, 7);
        try (var hypervisor = ScriptedHypervisor.running(reports);
                MicroGuest guest = MicroGuest.builder().hypervisor(hypervisor).build(Assembler::hlt)) {
            GuestStop stop = guest.run();
            System.out.println("micro-guest: " + stop);
        }
    }
}
