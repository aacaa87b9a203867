package io.github.jkvm.it.linux;

import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryBacking.Sharing;
import io.github.jkvm.testkit.linux.ControlChannel;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxMachineBuilder;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.balloon.BalloonDevice;
import io.github.jkvm.virtio.block.BlockDevice;
import io.github.jkvm.virtio.block.ImageAccess;
import io.github.jkvm.virtio.block.RawImage;
import io.github.jkvm.virtio.console.ConsoleDevice;
import io.github.jkvm.virtio.fs.FsDevice;
import io.github.jkvm.virtio.fs.FsOptions;
import io.github.jkvm.virtio.net.NetDevice;
import io.github.jkvm.virtio.net.TapBackend;
import io.github.jkvm.virtio.pmem.PmemDevice;
import io.github.jkvm.virtio.rng.RngDevice;
import io.github.jkvm.virtio.vsock.VsockDevice;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** One of each device that a stock Linux drives, for one guest, and the host's ends of them. */
final class DeviceFamily {
    /** The host's address on the network, and the guest's. */
    static final String HOST_ADDRESS = "10.99.0.1";

    static final String GUEST_ADDRESS = "10.99.0.2";

    /** What the guest mounts the shared folder by. */
    static final String TAG = "share";

    /** The names that sysfs has for their drivers. */
    static final List<String> DRIVERS = List.of(
            "virtio_balloon",
            "virtio_blk",
            "virtio_console",
            "virtio_net",
            "virtio_pmem",
            "virtio_rng",
            "virtiofs",
            "vmw_vsock_virtio_transport");

    private static final long DISK_SIZE = 32L << 20;
    private static final long MEMORY = 512L << 20;

    /** The folder that the guest shares. */
    final Path shared;

    final BlockDevice block;
    final NetDevice net;
    final ConsoleDevice console;
    final VsockDevice vsock;
    final RngDevice rng;
    final BalloonDevice balloon = new BalloonDevice("balloon0");
    final FsDevice fs;
    final PmemDevice pmem;

    private final Path folder;

    /** Makes the devices, with their files in an empty folder. */
    DeviceFamily(Path folder) throws IOException, InterruptedException {
        this(folder, RawImage.create(folder.resolve("disk"), DISK_SIZE));
    }

    /** Makes devices for a guest that goes on with the files of one that has ended. */
    DeviceFamily(DeviceFamily former) throws IOException, InterruptedException {
        this(former.folder, RawImage.open(former.folder.resolve("disk"), ImageAccess.READ_WRITE));
    }

    private DeviceFamily(Path folder, RawImage disk) throws IOException, InterruptedException {
        this.folder = folder;
        block = BlockDevice.builder("disk0", disk).build();
        TapBackend tap = TapBackend.open("jkvm%d");
        HostCommand.run("ip", "addr", "add", HOST_ADDRESS + "/24", "dev", tap.interfaceName());
        HostCommand.run("ip", "link", "set", tap.interfaceName(), "up");
        net = NetDevice.builder("net0", tap).build();
        console = ConsoleDevice.builder("console0")
                .console()
                .data("org.example.up")
                .data("org.example.down")
                .maxPorts(4)
                .build();
        vsock = VsockDevice.builder("vsock0", 77).build();
        rng = new RngDevice("rng0", new CountingEntropy(), RateLimiter.unlimited());
        shared = Files.createDirectories(folder.resolve("shared"));
        fs = new FsDevice("fs0", TAG, shared, FsOptions.readWrite());
        Path memory = folder.resolve("pmem");
        try (var file = new RandomAccessFile(memory.toFile(), "rw")) {
            file.setLength(DISK_SIZE);
        }
        pmem = new PmemDevice("pmem0", new MemoryBacking.File(memory, 0, DISK_SIZE, Sharing.SHARED));
    }

    /** Returns the devices. The first one's number is in the names of the console's ports. */
    List<VirtioDevice> devices() {
        return List.of(console, balloon, block, net, pmem, rng, fs, vsock);
    }

    /** Begins a guest that has the devices and no others, and has loaded their drivers. */
    LinuxMachineBuilder guest(GuestTransport transport) {
        LinuxMachineBuilder builder = LinuxMachine.builder()
                .channel(ControlChannel.SERIAL)
                .memory(MEMORY)
                .modules(transport.module())
                .modules(DRIVERS.toArray(String[]::new))
                .modules("nd_pmem");
        devices().forEach(device -> builder.device(transport.of(device)));
        return builder;
    }

    /**
     * Returns the drivers that have agreed on a feature with their device.
     *
     * @param bit the number of its bit
     * @return some of {@link #DRIVERS}, in their order
     */
    List<String> driversThatAgreedOn(LinuxMachine guest, int bit) throws InterruptedException {
        // Linux, drivers/virtio/virtio.c, features_show: a digit for each bit, from bit 0 on.
        return guest.run("cd /sys/bus/virtio/devices; for d in *; do [ $(cut -c " + (bit + 1)
                        + " $d/features) = 1 ] && basename $(readlink $d/driver); done; true")
                .lines()
                .sorted()
                .toList();
    }
}
