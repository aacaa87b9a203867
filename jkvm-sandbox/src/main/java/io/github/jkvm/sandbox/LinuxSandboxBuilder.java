package io.github.jkvm.sandbox;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.linux.InstalledKernel;
import io.github.jkvm.sandbox.image.RootImage;
import io.github.jkvm.sandbox.linux.BootSettings;
import io.github.jkvm.sandbox.linux.Calls;
import io.github.jkvm.sandbox.linux.CommandDefaults;
import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Says what a {@link LinuxSandbox} is made of: see {@link LinuxSandbox#builder}. For one thread. */
public final class LinuxSandboxBuilder {
    /** Memory of a guest unless told otherwise, in bytes: 256 MiB. */
    public static final long DEFAULT_MEMORY = 256L << 20;

    /** How long the boot may take unless told otherwise: a minute. */
    public static final Duration DEFAULT_BOOT_DEADLINE = Duration.ofMinutes(1);

    private static final long LEAST_MEMORY = 64L << 20;
    private static final long PAGE = 4096;
    private static final long HALF = -1;

    private final Hypervisor hypervisor;
    private final Map<String, String> environment = new LinkedHashMap<>();
    private @Nullable RootFs rootfs;
    private @Nullable InstalledKernel kernel;
    private @Nullable Supplier<? extends GuestNetwork> network;
    private long memory = DEFAULT_MEMORY;
    private int vcpus = 1;
    private long overlay = HALF;
    private Limits limits = Limits.DEFAULT;
    private Duration bootDeadline = DEFAULT_BOOT_DEADLINE;
    private Isolation isolation = Isolation.VIRTUAL_MACHINE;

    LinuxSandboxBuilder(Hypervisor hypervisor) {
        this.hypervisor = Objects.requireNonNull(hypervisor, "hypervisor");
    }

    /**
     * Sets the root of the guest's file system. There must be one.
     *
     * @param root what it is made from, when the sandbox is built
     * @return this
     */
    public LinuxSandboxBuilder rootfs(RootFs root) {
        rootfs = Objects.requireNonNull(root, "root");
        return this;
    }

    /**
     * Sets the kernel, which must have virtio-mmio, virtio-blk, virtio-vsock, overlayfs and the root's file system, built in or as modules; if not set, it is
     * the host's newest ({@link InstalledKernel#newest()}).
     *
     * @param value the kernel
     * @return this
     */
    public LinuxSandboxBuilder kernel(InstalledKernel value) {
        kernel = Objects.requireNonNull(value, "kernel");
        return this;
    }

    /**
     * Sets how much memory the guest has, and so at most takes of the host's; {@link #DEFAULT_MEMORY} if not set. When commands use it up, the guest's kernel
     * kills some of them.
     *
     * @param bytes the size, a multiple of 4096, 64 MiB or more
     * @return this
     * @throws IllegalArgumentException if it is less, or no such multiple
     */
    public LinuxSandboxBuilder memory(long bytes) {
        if (bytes < LEAST_MEMORY || bytes % PAGE != 0) {
            throw new IllegalArgumentException(
                    "memory of " + bytes + " bytes must be a multiple of 4096, from " + LEAST_MEMORY);
        }
        memory = bytes;
        return this;
    }

    /**
     * Sets the number of vCPUs; 1 if not set.
     *
     * @param count the number, from 1 to what {@link Hypervisor#maxVCpus()} allows
     * @return this
     */
    public LinuxSandboxBuilder vcpus(int count) {
        vcpus = count;
        return this;
    }

    /**
     * Sets how many bytes of the guest's memory may be taken by what is written to the root; half of the memory if not set.
     *
     * @param bytes the size, more than zero
     * @return this
     * @throws IllegalArgumentException if it is not
     */
    public LinuxSandboxBuilder overlay(long bytes) {
        if (bytes <= 0) {
            throw new IllegalArgumentException(
                    "an overlay of " + bytes + " bytes makes no sense; give more, or choose readOnly()");
        }
        overlay = bytes;
        return this;
    }

    /**
     * Leaves the root read only, without a writable layer. There is a writable {@code /run} if the root has a folder of that name.
     *
     * @return this
     */
    public LinuxSandboxBuilder readOnly() {
        overlay = 0;
        return this;
    }

    /**
     * Sets the limits of calls that have none of their own; {@link Limits#DEFAULT} if not set.
     *
     * @param value the limits
     * @return this
     */
    public LinuxSandboxBuilder limits(Limits value) {
        limits = Objects.requireNonNull(value, "limits");
        return this;
    }

    /**
     * Sets a variable of all commands' environment.
     *
     * @param name its name
     * @param value its value
     * @return this
     */
    public LinuxSandboxBuilder environment(String name, String value) {
        environment.put(Objects.requireNonNull(name, "name"), Objects.requireNonNull(value, "value"));
        return this;
    }

    /**
     * Connects the guest to a network, with an interface {@code eth0}; if not set, it has none but its loopback interface:
     *
     * <p>{@snippet lang = java :
     * builder.network(() -> GuestNetwork.tap("tap0")
     *         .withAddress(GuestAddress.of("10.0.0.2/24").withGateway("10.0.0.1").withResolvers("10.0.0.1")));
     * }
     *
     * <p>A network that can't be had, or set up in the guest, fails the build, the restore or the copy.
     *
     * @param each gives the guest its network: called once when the sandbox is built, and for each restore and each copy, for which the same address is as well
     *     only if they are never on one network together. Before a restore, the network of before is closed
     * @return this
     */
    public LinuxSandboxBuilder network(Supplier<? extends GuestNetwork> each) {
        network = Objects.requireNonNull(each, "each");
        return this;
    }

    /**
     * Sets how long the boot may take, and the guest's answer after a restore; {@link #DEFAULT_BOOT_DEADLINE} if not set.
     *
     * @param time more than zero
     * @return this
     * @throws IllegalArgumentException if it is not
     */
    public LinuxSandboxBuilder bootDeadline(Duration time) {
        if (!time.isPositive()) {
            throw new IllegalArgumentException("the boot deadline " + time + " must be above zero");
        }
        bootDeadline = time;
        return this;
    }

    /**
     * Sets how far the guest is kept apart from this program. In a process of its own, which each copy has, the limit of processor time counts all that this
     * process does, and networks are those of {@link GuestNetwork#tap}: the process opens the interface, so it must be one that a process of this user may
     * open. The booted guest is kept in a folder below {@code java.io.tmpdir}, from which another process goes on if one has ended.
     *
     * @param how the isolation; {@link Isolation#VIRTUAL_MACHINE} if not set
     * @return this
     */
    public LinuxSandboxBuilder isolation(Isolation how) {
        isolation = Objects.requireNonNull(how, "how");
        return this;
    }

    /**
     * Boots the guest, and waits until it takes commands. The root is converted first if it has to be.
     *
     * @return the sandbox, to be closed by the caller
     * @throws IllegalStateException if there is no root
     * @throws IllegalArgumentException if the kernel lacks what the guest needs, or a value is out of range
     * @throws SandboxException if the root or the kernel can't be read, or the guest does not boot; the text has its kernel's last words
     * @throws SandboxProcessException if the process of {@link Isolation#PROCESS} can't be started
     * @throws io.github.jkvm.HypervisorException if the host refuses something
     */
    public LinuxSandbox build() {
        if (rootfs == null) {
            throw new IllegalStateException("there is no root: give the builder one with rootfs(RootFs.folder(path))");
        }
        InstalledKernel chosen = kernel == null ? newest() : kernel;
        RootImage root = RootImage.open(rootfs);
        CommandDefaults defaults = CommandDefaults.of(root.config(), environment);
        var settings = new BootSettings(
                hypervisor,
                chosen,
                root,
                memory,
                vcpus,
                overlay == HALF ? memory / 2 : overlay,
                Optional.ofNullable(network),
                bootDeadline,
                isolation);
        return new LinuxSandbox(Calls.boot(settings), limits, defaults);
    }

    private static InstalledKernel newest() {
        try {
            return InstalledKernel.newest();
        } catch (IOException e) {
            throw new SandboxException("no kernel for the guest: " + e.getMessage(), e);
        }
    }
}
