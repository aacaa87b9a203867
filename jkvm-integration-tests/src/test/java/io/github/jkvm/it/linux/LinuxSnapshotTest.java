package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.jkvm.Device;
import io.github.jkvm.machine.linux.InstalledKernel;
import io.github.jkvm.testkit.linux.Boot;
import io.github.jkvm.testkit.linux.ControlChannel;
import io.github.jkvm.testkit.linux.LinuxGuest;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxSnapshot;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.testkit.linux.RunningCommand;
import io.github.jkvm.virtio.block.BlockDevice;
import io.github.jkvm.virtio.block.ImageAccess;
import io.github.jkvm.virtio.block.RawImage;
import io.github.jkvm.virtio.rng.RngDevice;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A stock Linux goes on from a snapshot, any number of times, amid its work on a disk. */
@RequiresLinuxGuest
@Timeout(600)
class LinuxSnapshotTest {
    private static final long DISK = 32L << 20;
    private static final int CLONES = 3;

    /** Counts up a file, and does not let go of a number before it is on the disk. */
    private static final String COUNT_ON_DISK =
            "(i=0; while [ ! -e /stop ]; do i=$((i+1)); echo $i >/mnt/new; sync; mv /mnt/new /mnt/count; done) >/dev/null 2>&1 &";

    @TempDir
    private Path folder;

    private Path disk(String name) throws IOException {
        Path disk = folder.resolve(name);
        try (var file = new RandomAccessFile(disk.toFile(), "rw")) {
            file.setLength(DISK);
        }
        return disk;
    }

    private static Device[] devices(GuestTransport transport, Path disk) throws IOException {
        return new Device[] {
            transport.of(BlockDevice.builder("disk0", RawImage.open(disk, ImageAccess.READ_WRITE))
                    .build()),
            transport.of(new RngDevice("rng0"))
        };
    }

    @ParameterizedTest
    @EnumSource
    void goesOnAmidItsWorkOnADisk(GuestTransport transport) throws Exception {
        Path disk = disk("disk");
        Device[] devices = devices(transport, disk);
        try (LinuxMachine origin = LinuxMachine.builder()
                .modules(transport.module(), "virtio_blk", "ext4", "virtio_rng")
                .programs("mkfs.ext4", "fsck.ext4")
                .device(devices[0])
                .device(devices[1])
                .start()) {
            origin.run("mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt && echo 0 >/mnt/count");
            origin.run(COUNT_ON_DISK);
            awaitCountAbove(origin, 3);

            origin.machine().pause();
            Path copy = folder.resolve("copy");
            LinuxSnapshot snapshot = origin.snapshot();
            Files.copy(disk, copy);
            origin.machine().resume();

            try (snapshot) {
                Set<String> random = new HashSet<>();
                for (int i = 0; i < CLONES; i++) {
                    Path own = Files.copy(copy, folder.resolve("clone" + i));
                    try (LinuxMachine clone = snapshot.start(devices(transport, own))) {
                        int there = count(clone);
                        awaitCountAbove(clone, there);
                        random.add(clone.run("cat /proc/sys/kernel/random/uuid"));
                        long guestNow = Long.parseLong(clone.run("date +%s"));
                        assertThat(guestNow)
                                .as("the guest's clock")
                                .isCloseTo(Instant.now().getEpochSecond(), within(30L));
                        assertSound(clone);
                    }
                }
                assertThat(random).as("random numbers of clones").hasSize(CLONES);
            }
            assertSound(origin);
        }
    }

    private static int count(LinuxMachine machine) throws InterruptedException {
        return Integer.parseInt(machine.run("cat /mnt/count"));
    }

    private static void awaitCountAbove(LinuxMachine machine, int count) throws InterruptedException {
        machine.run("until [ $(cat /mnt/count) -gt " + count + " ]; do :; done");
    }

    /** The file system is whole, as it is on the disk, after the work has ended. */
    private static void assertSound(LinuxMachine machine) throws InterruptedException {
        machine.run("touch /stop; until umount /mnt 2>/dev/null; do :; done");
        machine.run("fsck.ext4 -fn /dev/vda");
    }

    @Test
    void aSnapshotIsTakenBetweenCommands() throws Exception {
        try (LinuxMachine machine = LinuxMachine.builder().start()) {
            RunningCommand running = machine.begin("while :; do :; done");
            assertThatIllegalStateException()
                    .isThrownBy(machine::snapshot)
                    .withMessageContaining("wait for its end before a snapshot");
            running.kill();
            assertThat(running.await(Duration.ofMinutes(1)).status()).isEqualTo(137);
            try (LinuxSnapshot snapshot = machine.snapshot();
                    LinuxMachine clone = snapshot.start()) {
                clone.run("true");
            }
            machine.run("true");
        }
    }

    @Test
    void machinesOfTheSamePropertiesComeOfOneBootAndKnowNothingOfEachOther(
            @LinuxGuest LinuxMachine first,
            @LinuxGuest LinuxMachine second,
            @LinuxGuest(boot = Boot.EACH) LinuxMachine other)
            throws Exception {
        first.run("touch /tmp/first");
        assertThat(second.execute("ls /tmp/first").status()).isNotZero();
        String boot = bootTimes(first);
        assertThat(bootTimes(second)).isEqualTo(boot);
        assertThat(bootTimes(other)).isNotEqualTo(boot);
    }

    /** Debian's kernel for clouds has no driver for it. */
    @Test
    void aKernelThatKnowsGenerationIdsIsToldOfEachRestore() throws Exception {
        InstalledKernel kernel = kernelWith("CONFIG_VMGENID=y");
        try (LinuxMachine machine = LinuxMachine.builder().kernel(kernel).start();
                LinuxSnapshot snapshot = machine.snapshot();
                LinuxMachine clone = snapshot.start()) {
            clone.run("until dmesg | grep -q 'crng reseeded due to virtual machine fork'; do :; done");
            assertThat(machine.run("dmesg")).doesNotContain("virtual machine fork");
        }
    }

    static InstalledKernel kernelWith(String option) throws IOException {
        try (Stream<Path> configurations = Files.list(Path.of("/boot"))) {
            for (Path file : configurations.toList()) {
                String name = file.getFileName().toString();
                if (name.startsWith("config-") && Files.readString(file).contains(option + "\n")) {
                    String version = name.substring("config-".length());
                    return InstalledKernel.of(
                            Path.of("/boot/vmlinuz-" + version),
                            Path.of("/lib/modules").resolve(version));
                }
            }
        }
        return abort("no installed kernel has " + option + ": apt-get install linux-image-amd64");
    }

    @Test
    void serialChannelsGoOnToo() throws Exception {
        try (LinuxMachine machine =
                        LinuxMachine.builder().channel(ControlChannel.SERIAL).start();
                LinuxSnapshot snapshot = machine.snapshot();
                LinuxMachine clone = snapshot.start()) {
            assertThat(clone.run("echo clone")).isEqualTo("clone");
            assertThat(machine.run("echo origin")).isEqualTo("origin");
        }
    }

    /** The moments at which the kernel did what it does at its start, which no two boots share. */
    private static String bootTimes(LinuxMachine machine) throws InterruptedException {
        return machine.run("dmesg | head -n 100");
    }
}
