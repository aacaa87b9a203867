package io.github.jkvm.benchmarks;

import io.github.jkvm.testkit.linux.ControlChannel;
import io.github.jkvm.testkit.linux.GuestCommand;
import io.github.jkvm.testkit.linux.GuestShell;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxMachineBuilder;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Lets the same guest on jkvm and in QEMU work by turns, and compares the medians. */
final class VirtioTurns {
    /** How long the boot and each command may take on a busy machine. */
    static final Duration LIMIT = Duration.ofMinutes(2);

    private static final int ROUNDS = 3;
    private static final long MEMORY = 512L << 20;

    private VirtioTurns() {}

    /**
     * Describes the guest.
     *
     * @param driver the kernel module for its device
     * @param program what it runs
     */
    static LinuxMachineBuilder guest(String driver, String program) {
        // The same for both: QEMU's guest has its commands from a serial port.
        return LinuxMachine.builder()
                .channel(ControlChannel.SERIAL)
                .deadline(LIMIT)
                .memory(MEMORY)
                .modules("virtio_pci", driver)
                .programs(program);
    }

    /**
     * Measures, and prints a line for each job.
     *
     * @param jkvm the guest on jkvm, in this process
     * @param qemu the guest in QEMU
     * @param ours what the first does
     * @param theirs the same jobs, as the second does them
     */
    static void compare(GuestShell jkvm, QemuGuest qemu, List<VirtioJob> ours, List<VirtioJob> theirs)
            throws IOException, InterruptedException {
        long own = ProcessHandle.current().pid();
        // Not counted: until the JVM has compiled what a job runs.
        rate("warm-up", jkvm, own, ours.getFirst());
        for (int i = 0; i < ours.size(); i++) {
            List<Double> our = new ArrayList<>();
            List<Double> their = new ArrayList<>();
            for (int round = 0; round < ROUNDS; round++) {
                // Each goes first in every other round.
                if (round % 2 == 0) {
                    our.add(rate("jkvm", jkvm, own, ours.get(i)));
                    their.add(rate("qemu", qemu.shell(), qemu.pid(), theirs.get(i)));
                } else {
                    their.add(rate("qemu", qemu.shell(), qemu.pid(), theirs.get(i)));
                    our.add(rate("jkvm", jkvm, own, ours.get(i)));
                }
            }
            print(ours.get(i), median(our), median(their));
        }
    }

    private static double rate(String name, GuestShell shell, long pid, VirtioJob job)
            throws IOException, InterruptedException {
        Map<String, Long> before = SideCounters.of(pid);
        String output = shell.run(GuestCommand.of(job.command()));
        double rate = Double.parseDouble(output.strip());
        // The job's start and its ramp are in the counts but not in the rate: good enough to see where time goes.
        String counts =
                SideCounters.perOperation(before, SideCounters.of(pid), job.operations(rate) * VirtioJob.SECONDS);
        System.err.printf(Locale.ROOT, "%s %s: %.0f %s;%s%n", job.name(), name, rate, job.unit(), counts);
        return rate;
    }

    private static double median(List<Double> rates) {
        return rates.stream().sorted().skip(rates.size() / 2).findFirst().orElseThrow();
    }

    private static void print(VirtioJob job, double our, double their) {
        System.out.printf(
                Locale.ROOT,
                "%s ratio %.2f jkvm %.0f %s qemu %.0f %s%n",
                job.name(),
                our / their,
                our,
                job.unit(),
                their,
                job.unit());
    }
}
