package io.github.jkvm.kvm;

import io.github.jkvm.HypervisorUnavailableException;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.KickSignal;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.NativeAccess;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Capabilities;
import io.github.jkvm.kvm.layout.SystemIoctls;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;

/** Opens {@code /dev/kvm}, or says why it can't be used and what to type. */
final class KvmDeviceFile {
    /** The only version of the interface there has been since Linux 2.6.22. */
    static final int API_VERSION = 12;

    private KvmDeviceFile() {}

    /**
     * Returns the device's path: that of the system property {@value KvmProvider#DEVICE_PROPERTY}, or {@code /dev/kvm}.
     */
    static Path path() {
        return Path.of(System.getProperty(KvmProvider.DEVICE_PROPERTY, "/dev/kvm"));
    }

    /**
     * Opens the device and sees to it that it is one this library can use.
     *
     * @param path the device
     * @return its descriptor
     * @throws HypervisorUnavailableException if it can't be used
     */
    static OwnedFd open(Path path) {
        checkPlatform(System.getProperty("os.name", "unknown"), System.getProperty("os.arch", "unknown"));
        String whyNot = NativeAccess.whyNot();
        if (whyNot != null) {
            throw new HypervisorUnavailableException(whyNot);
        }
        KickSignal.install();
        int fd;
        try (Arena temporary = Arena.ofConfined()) {
            fd = Libc.open(temporary.allocateFrom(path.toString()), Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        }
        if (fd < 0) {
            throw new HypervisorUnavailableException(explainOpen(path, -fd));
        }
        OwnedFd device = new OwnedFd(fd, path.toString());
        try {
            checkVersion(path, device.tryIoctl(SystemIoctls.KVM_GET_API_VERSION, 0));
            if (HostCapabilities.ask(device, Capabilities.KVM_CAP_IMMEDIATE_EXIT) == 0) {
                throw new HypervisorUnavailableException(
                        "this kernel's KVM lacks KVM_CAP_IMMEDIATE_EXIT; use Linux 4.13 or later");
            }
            return device;
        } catch (RuntimeException unusable) {
            device.close();
            throw unusable;
        }
    }

    /** Makes a VM and throws it away: that another hypervisor holds the processor shows only then. */
    static void tryVm(Path path, OwnedFd device) {
        int vm;
        do {
            vm = device.tryIoctl(SystemIoctls.KVM_CREATE_VM, 0);
        } while (vm == -Errno.EINTR);
        if (vm < 0) {
            throw new HypervisorUnavailableException(explainCreate(path, -vm));
        }
        Libc.close(vm);
    }

    static void checkPlatform(String system, String architecture) {
        if (!system.equals("Linux")) {
            throw new HypervisorUnavailableException("KVM is part of Linux, and this is " + system
                    + "; run on Linux, for instance in a virtual machine that allows nested virtualization");
        }
        HostArchitecture.of(architecture);
    }

    static void checkVersion(Path path, int version) {
        if (version < 0) {
            throw new HypervisorUnavailableException(path + " is not KVM: asked for its version it answers "
                    + Errno.name(-version) + "; see the system property " + KvmProvider.DEVICE_PROPERTY);
        }
        if (version != API_VERSION) {
            throw new HypervisorUnavailableException(
                    path + " speaks version " + version + " of the KVM interface; this library speaks " + API_VERSION
                            + ", that of every Linux since 2.6.22");
        }
    }

    static String explainOpen(Path path, int errno) {
        return switch (errno) {
            case Errno.ENOENT, Errno.ENODEV, Errno.ENXIO ->
                "there is no " + path + ": load KVM with 'sudo modprobe kvm_intel' or 'sudo modprobe kvm_amd'; if that"
                        + " fails, switch virtualization (VT-x, AMD-V) on in the firmware, or in the settings of the"
                        + " virtual machine that this is; in a container, start it with '--device /dev/kvm'";
            case Errno.EACCES, Errno.EPERM ->
                "this user may not open " + path + owner(path) + ": join its group with 'sudo usermod -aG "
                        + group(path) + " " + System.getProperty("user.name", "$USER")
                        + "' and log in again, or for now 'sudo chmod o+rw " + path + "'";
            case Errno.EBUSY ->
                path + " is in use by another hypervisor; end it (VirtualBox and VMware hold the processor while they"
                        + " run)";
            case Errno.EMFILE ->
                "can't open " + path
                        + ": this process has too many files open; raise its limit with 'ulimit -n NUMBER'";
            default -> "can't open " + path + ": " + Errno.name(errno) + " (" + errno + ")";
        };
    }

    static String explainCreate(Path path, int errno) {
        return switch (errno) {
            case Errno.EBUSY ->
                "another hypervisor holds the processor, so that " + path
                        + " can't make a VM; end it (VirtualBox, VMware) or unload it with 'sudo modprobe -r vboxdrv'";
            case Errno.ENOMEM -> path + " can't make a VM: the host is out of memory";
            default ->
                path + " can't make a VM: " + Errno.name(errno) + " (" + errno + "); see 'sudo dmesg | grep -i kvm'";
        };
    }

    private static String owner(Path path) {
        try {
            PosixFileAttributes attributes = Files.readAttributes(path, PosixFileAttributes.class);
            return " (" + PosixFilePermissions.toString(attributes.permissions()) + " "
                    + attributes.owner().getName() + ":" + attributes.group().getName() + ")";
        } catch (IOException | UnsupportedOperationException unknown) {
            return "";
        }
    }

    private static String group(Path path) {
        try {
            return Files.readAttributes(path, PosixFileAttributes.class).group().getName();
        } catch (IOException | UnsupportedOperationException unknown) {
            return "kvm";
        }
    }
}
