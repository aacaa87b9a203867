package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.DeviceStructs.KVM_CREATE_DEVICE;
import static io.github.jkvm.kvm.layout.DeviceStructs.KVM_CREATE_DEVICE_TEST;
import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_DEV_TYPE_ARM_VGIC_V2;
import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_DEV_TYPE_ARM_VGIC_V3;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/**
 * A device inside the kernel, made by {@link KvmVm#createDevice} and set up through its attributes (Linux,
 * Documentation/virt/kvm/devices). Safe for use by many threads.
 */
public final class KvmDevice implements AutoCloseable {
    private static final long TYPE = KVM_CREATE_DEVICE.offset("type");
    private static final long FD = KVM_CREATE_DEVICE.offset("fd");
    private static final long FLAGS = KVM_CREATE_DEVICE.offset("flags");

    private final int type;
    private final OwnedFd fd;
    private final Consumer<KvmDevice> onClose;

    private KvmDevice(int type, OwnedFd fd, Consumer<KvmDevice> onClose) {
        this.type = type;
        this.fd = fd;
        this.onClose = onClose;
    }

    static KvmDevice create(OwnedFd vm, int type, Consumer<KvmDevice> onClose) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = request(arena, type, 0);
            int result = vm.tryIoctl(VmIoctls.KVM_CREATE_DEVICE, request);
            if (result < 0) {
                throw new KvmException(
                        VmIoctls.KVM_CREATE_DEVICE.name(),
                        "type " + type,
                        -result,
                        switch (-result) {
                            case Errno.ENODEV, Errno.ENOTTY, Errno.EINVAL ->
                                "this host's kernel has no device of this type; ask supportsDevice() first";
                            case Errno.EEXIST -> "the VM has one already, and can't have two";
                            default -> "the kernel refuses it; see Documentation/virt/kvm/devices of Linux";
                        });
            }
            return new KvmDevice(type, new OwnedFd(request.get(JAVA_INT, FD), "device of type " + type), onClose);
        }
    }

    static boolean supported(OwnedFd vm, int type) {
        try (Arena arena = Arena.ofConfined()) {
            return vm.tryIoctl(VmIoctls.KVM_CREATE_DEVICE, request(arena, type, KVM_CREATE_DEVICE_TEST)) == 0;
        }
    }

    private static MemorySegment request(Arena arena, int type, int flags) {
        MemorySegment request = KVM_CREATE_DEVICE.allocate(arena);
        request.set(JAVA_INT, TYPE, type);
        request.set(JAVA_INT, FLAGS, flags);
        return request;
    }

    /**
     * Returns what kind of device it is.
     *
     * @return the type ({@code KVM_DEV_TYPE_*})
     */
    public int type() {
        return type;
    }

    /** Whether it gives the VM interrupt lines, as on Arm. */
    boolean isInterruptController() {
        return type == KVM_DEV_TYPE_ARM_VGIC_V2 || type == KVM_DEV_TYPE_ARM_VGIC_V3;
    }

    /**
     * Returns its attributes.
     *
     * @return the attributes
     */
    public DeviceAttributes attributes() {
        return new DeviceAttributes(fd);
    }

    /** Lets go of the device; the kernel keeps it until the VM ends. Closing twice does nothing. */
    @Override
    public void close() {
        onClose.accept(this);
        fd.close();
    }
}
