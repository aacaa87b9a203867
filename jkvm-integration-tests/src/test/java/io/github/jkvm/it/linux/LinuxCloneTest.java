package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.it.Lane;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxSnapshot;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Many clones of a Linux at once. */
@RequiresLinuxGuest
@Timeout(3600)
class LinuxCloneTest {
    private static final int CLONES = Lane.soak(50, 5);
    private static final Duration LIMIT = Duration.ofMinutes(10);

    /** Where the board keeps the generation id: its last page below 1 MiB. */
    private static final long GENERATION_ID = 0xF_F000;

    /** What one clone has for itself. */
    private record Own(String random, String generation) {}

    @Test
    void manyClonesAtOnceLiveAndDiffer() throws Exception {
        List<LinuxMachine> clones = new ArrayList<>();
        try (LinuxMachine origin = LinuxMachine.builder()
                        .kernel(LinuxSnapshotTest.kernelWith("CONFIG_VMGENID=y"))
                        .vcpus(2)
                        .deadline(LIMIT)
                        .start();
                LinuxSnapshot snapshot = busySnapshot(origin);
                var threads = Executors.newFixedThreadPool(CLONES)) {
            List<Future<LinuxMachine>> starting = new ArrayList<>();
            for (int i = 0; i < CLONES; i++) {
                starting.add(threads.submit(() -> snapshot.start()));
            }
            for (Future<LinuxMachine> each : starting) {
                clones.add(each.get());
            }
            List<Callable<Own>> asking = new ArrayList<>();
            for (LinuxMachine clone : clones) {
                asking.add(() -> ask(clone));
            }
            Set<String> random = new HashSet<>();
            Set<String> generations = new HashSet<>();
            for (Future<Own> each : threads.invokeAll(asking)) {
                random.add(each.get().random);
                generations.add(each.get().generation);
            }
            assertThat(random).as("random numbers").hasSize(CLONES);
            assertThat(generations).as("generation ids").hasSize(CLONES).doesNotContain(generation(origin));
            // None has ended while others were asked.
            for (LinuxMachine clone : clones) {
                assertThat(clone.run("echo alive", LIMIT)).isEqualTo("alive");
            }
        } finally {
            clones.forEach(LinuxMachine::close);
        }
    }

    /** Both processors have something to do. */
    private static LinuxSnapshot busySnapshot(LinuxMachine origin) throws InterruptedException {
        origin.run("for i in 1 2; do (n=0; while :; do n=$((n+1)); echo $n >/tmp/count$i; sleep 0.01; done) & done"
                + " >/dev/null 2>&1; until [ -s /tmp/count1 ] && [ -s /tmp/count2 ]; do :; done");
        return origin.snapshot();
    }

    private static Own ask(LinuxMachine clone) throws InterruptedException {
        clone.run("until dmesg | grep -q 'crng reseeded due to virtual machine fork'; do sleep 0.1; done", LIMIT);
        assertThat(clone.run("nproc", LIMIT)).isEqualTo("2");
        clone.run(
                "for i in 1 2; do was=$(cat /tmp/count$i); until [ \"$(cat /tmp/count$i)\" != \"$was\" ]; do sleep 0.01; done; done",
                LIMIT);
        return new Own(clone.run("head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n'", LIMIT), generation(clone));
    }

    private static String generation(LinuxMachine machine) {
        return HexFormat.of().formatHex(machine.machine().memory().read(GENERATION_ID, 16));
    }
}
