package io.github.jkvm.sandbox.linux;

import io.github.jkvm.Device;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.machine.RestoreBuilder;
import io.github.jkvm.sandbox.GuestNetwork;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.virtio.VirtioMmio;
import io.github.jkvm.virtio.block.BlockDevice;
import io.github.jkvm.virtio.block.ImageAccess;
import io.github.jkvm.virtio.block.RawImage;
import io.github.jkvm.virtio.net.NetBackend;
import io.github.jkvm.virtio.net.NetDevice;
import io.github.jkvm.virtio.net.TapBackend;
import io.github.jkvm.virtio.vsock.VsockChannel;
import io.github.jkvm.virtio.vsock.VsockDevice;
import io.github.jkvm.virtio.vsock.VsockListener;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** The snapshot of a machine of this process that has booted, with the root it needs. */
final class MachineCleanState implements CleanState {
    private static final String NAME = "sandbox";
    private static final int GUEST_CID = 3;

    private final BootSettings settings;
    private final MachineSnapshot snapshot;

    /** How many share this; guarded by this. */
    private int shares = 1;

    private MachineCleanState(BootSettings settings, MachineSnapshot snapshot) {
        this.settings = settings;
        this.snapshot = snapshot;
    }

    /** What is in a machine, made anew for each. */
    private record Devices(List<Device> all, VsockDevice vsock) {
        /** The devices of a guest, with the network's backend if there is one. */
        static Devices of(BootSettings settings, Optional<NetBackend> network) {
            List<Device> all = new ArrayList<>();
            // First, so that it has an owner if others can't be made. Its address is random.
            network.ifPresent(backend ->
                    all.add(new VirtioMmio(NetDevice.builder("net", backend).build())));
            try {
                var disk = RawImage.open(settings.root().file(), ImageAccess.READ_ONLY);
                all.add(new VirtioMmio(
                        BlockDevice.builder("root", disk).readOnly().build()));
            } catch (IOException e) {
                all.forEach(Device::close);
                throw new SandboxException(
                        "the root " + settings.root().file() + " can't be opened: " + e.getMessage(), e);
            }
            VsockDevice vsock = VsockDevice.builder("agent", GUEST_CID).build();
            all.add(new VirtioMmio(vsock));
            return new Devices(all, vsock);
        }
    }

    /**
     * Boots a guest, and keeps it as it is then.
     *
     * @throws SandboxException if it does not boot
     */
    static MachineCleanState boot(BootSettings settings) {
        Devices devices = Devices.of(settings, settings.network().map(later -> new Unplugged()));
        MachineBuilder builder = Machine.builder(settings.hypervisor())
                .name(NAME)
                .memory(settings.memory())
                .vcpus(settings.vcpus())
                .kernel(settings.kernel().image())
                .commandLine(BootFiles.commandLine(settings));
        try {
            builder.initrd(MemorySegment.ofArray(BootFiles.initramfs(settings)));
        } catch (IOException e) {
            throw new SandboxException("the kernel's modules can't be read: " + e.getMessage(), e);
        }
        devices.all().forEach(builder::device);
        try (Machine machine = builder.build()) {
            awaitAgent(machine, devices.vsock(), settings);
            return new MachineCleanState(settings, machine.snapshot());
        }
    }

    private static void awaitAgent(Machine machine, VsockDevice vsock, BootSettings settings) {
        var guest = new MachineGuest(machine, vsock, Optional.empty());
        try {
            // Closed with its device, or at the guest's end, so that no one waits for a guest that is no more.
            VsockListener ready = vsock.listen(Agent.READY_PORT);
            machine.start();
            guest.onEnd(how -> ready.close());
            try (VsockChannel call = ready.accept(settings.patience())) {
                call.setTimeout(settings.patience());
                // Its end: the agent knows by now that it was heard, and goes on from there.
                if (call.read(ByteBuffer.allocate(1)) >= 0) {
                    throw new IOException("the agent says what no agent says");
                }
            }
            ready.close();
        } catch (IOException e) {
            machine.stop();
            throw new SandboxException("the guest did not boot (" + e + "): " + whatBecameOf(guest), e);
        }
    }

    private static String whatBecameOf(MachineGuest guest) {
        try {
            return guest.ending();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "it was not waited for";
        }
    }

    @Override
    public LinuxGuest start() {
        Optional<GuestNetwork> network = settings.network().map(Supplier::get);
        Devices devices = Devices.of(settings, network.map(MachineCleanState::open));
        RestoreBuilder builder =
                Machine.restore(settings.hypervisor(), snapshot).name(NAME);
        devices.all().forEach(builder::device);
        Machine machine;
        try {
            machine = builder.build();
        } catch (RuntimeException | Error failure) {
            // Some may not have been the machine's yet.
            devices.all().forEach(Device::close);
            throw failure;
        }
        var guest = new MachineGuest(
                machine, devices.vsock(), network.map(GuestNetwork::address).map(NetworkOrder::new));
        machine.start();
        // Who waits for an answer hears of the end.
        guest.onEnd(how -> guest.stop());
        return guest;
    }

    private static NetBackend open(GuestNetwork network) {
        return switch (network) {
            case GuestNetwork.Tap tap -> TapBackend.open(tap.interfaceName());
            case GuestNetwork.Attached attached -> attached.backend();
        };
    }

    @Override
    public synchronized CleanState share() {
        if (shares == 0) {
            throw new IllegalStateException("this clean state is closed");
        }
        shares++;
        return this;
    }

    @Override
    public void close() {
        synchronized (this) {
            shares--;
            if (shares != 0) {
                return;
            }
        }
        snapshot.close();
        settings.root().close();
    }
}
