package io.github.jkvm.sandbox.linux;

import io.github.jkvm.Device;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.machine.RestoreBuilder;
import io.github.jkvm.machine.boot.BzImage;
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
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Makes machines of a plan in this process: one to boot and be saved, and others that go on from there. */
final class Machines {
    private static final String NAME = "sandbox";
    private static final int GUEST_CID = 3;

    private final Hypervisor hypervisor;
    private final MachinePlan plan;

    Machines(Hypervisor hypervisor, MachinePlan plan) {
        this.hypervisor = hypervisor;
        this.plan = plan;
    }

    /** What is in a machine, made anew for each. */
    private record Devices(List<Device> all, VsockDevice vsock) {
        /** The devices of a guest, with the network's backend if there is one. */
        static Devices of(MachinePlan plan, Optional<NetBackend> network) {
            List<Device> all = new ArrayList<>();
            // First, so that it has an owner if others can't be made. Its address is random.
            network.ifPresent(backend ->
                    all.add(new VirtioMmio(NetDevice.builder("net", backend).build())));
            try {
                var disk = RawImage.open(plan.root(), ImageAccess.READ_ONLY);
                all.add(new VirtioMmio(
                        BlockDevice.builder("root", disk).readOnly().build()));
            } catch (IOException e) {
                all.forEach(Device::close);
                throw new SandboxException("the root " + plan.root() + " can't be opened: " + e.getMessage(), e);
            }
            VsockDevice vsock = VsockDevice.builder("agent", GUEST_CID).build();
            all.add(new VirtioMmio(vsock));
            return new Devices(all, vsock);
        }
    }

    /**
     * Boots a guest.
     *
     * @return the guest as it was then
     * @throws SandboxException if it does not boot
     */
    MachineSnapshot boot() {
        BzImage kernel;
        try {
            kernel = BzImage.of(Files.readAllBytes(plan.kernel()));
        } catch (IOException e) {
            throw new SandboxException("the kernel can't be read: " + e.getMessage(), e);
        }
        Devices devices =
                Devices.of(plan, plan.hasNetwork() ? Optional.of(new Unplugged()) : Optional.<NetBackend>empty());
        MachineBuilder builder = Machine.builder(hypervisor)
                .name(NAME)
                .memory(plan.memory())
                .vcpus(plan.vcpus())
                .kernel(kernel)
                .commandLine(plan.commandLine())
                .initrd(plan.initramfs());
        devices.all().forEach(builder::device);
        try (Machine machine = builder.build()) {
            awaitAgent(machine, devices.vsock());
            return machine.snapshot();
        }
    }

    private void awaitAgent(Machine machine, VsockDevice vsock) {
        var guest = new MachineGuest(machine, vsock, Optional.empty());
        try {
            // Closed with its device, or at the guest's end, so that no one waits for a guest that is no more.
            VsockListener ready = vsock.listen(Agent.READY_PORT);
            machine.start();
            guest.whenEnded(how -> ready.close());
            try (VsockChannel call = ready.accept(plan.patience())) {
                call.setTimeout(plan.patience());
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

    /**
     * Has a guest go on.
     *
     * @param snapshot what it was
     * @param network what it is connected to; there is one if the plan says so
     * @throws io.github.jkvm.HypervisorException if the host refuses something
     */
    MachineGuest goOn(MachineSnapshot snapshot, Optional<GuestNetwork> network) {
        Devices devices = Devices.of(plan, network.map(Machines::open));
        RestoreBuilder builder = Machine.restore(hypervisor, snapshot).name(NAME);
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
        guest.whenEnded(how -> guest.stop());
        return guest;
    }

    private static NetBackend open(GuestNetwork network) {
        return switch (network) {
            case GuestNetwork.Tap tap -> TapBackend.open(tap.interfaceName());
            case GuestNetwork.Attached attached -> attached.backend();
        };
    }
}
