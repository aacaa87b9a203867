package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.DeviceStructs.KVM_DEVICE_ATTR;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.jkvm.Bytes;
import io.github.jkvm.kvm.ffi.Ioctl;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Settings that the kernel keeps by group and number: of an in-kernel device, a VM or a vCPU (Linux, Documentation/virt/kvm/api.rst,
 * KVM_SET_DEVICE_ATTR, and Documentation/virt/kvm/devices). Safe for use by many threads.
 */
public final class DeviceAttributes {
    private static final long GROUP = KVM_DEVICE_ATTR.offset("group");
    private static final long ATTR = KVM_DEVICE_ATTR.offset("attr");
    private static final long ADDR = KVM_DEVICE_ATTR.offset("addr");

    /**
     * Size of what the kernel is shown, above that of every attribute: how much it reads or writes follows from the attribute and is not told to it, so a
     * caller's mistake about the size must stay within this.
     */
    private static final int BUFFER_SIZE = 64 * 1024;

    private final OwnedFd owner;

    DeviceAttributes(OwnedFd owner) {
        this.owner = owner;
    }

    /**
     * Tells whether there is an attribute.
     *
     * @param group its group
     * @param attribute its number in the group
     * @return true if there is
     * @throws IllegalStateException if the owner is closed
     */
    public boolean has(int group, long attribute) {
        try (Arena arena = Arena.ofConfined()) {
            return request(VmIoctls.KVM_HAS_DEVICE_ATTR, arena, group, attribute, MemorySegment.NULL) == 0;
        }
    }

    /**
     * Reads an attribute.
     *
     * @param group its group
     * @param attribute its number in the group
     * @param size its size in bytes, 0 to 65536
     * @return its value
     * @throws IllegalArgumentException if the size is out of range
     * @throws IllegalStateException if the owner is closed
     * @throws KvmException if there is no such attribute or it can't be read
     */
    public Bytes get(int group, long attribute, int size) {
        checkSize(size);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(BUFFER_SIZE, Long.BYTES);
            check(VmIoctls.KVM_GET_DEVICE_ATTR, arena, group, attribute, buffer);
            return Bytes.copyOf(buffer.asSlice(0, size).toArray(JAVA_BYTE));
        }
    }

    /**
     * Writes an attribute.
     *
     * @param group its group
     * @param attribute its number in the group
     * @param value its value, at most 65536 bytes; zeroes follow if it is shorter than the attribute
     * @throws IllegalArgumentException if the value is too long
     * @throws IllegalStateException if the owner is closed
     * @throws KvmException if there is no such attribute or it can't be written
     */
    public void set(int group, long attribute, Bytes value) {
        checkSize(value.length());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(BUFFER_SIZE, Long.BYTES);
            MemorySegment.copy(value.toArray(), 0, buffer, JAVA_BYTE, 0, value.length());
            check(VmIoctls.KVM_SET_DEVICE_ATTR, arena, group, attribute, buffer);
        }
    }

    private static void checkSize(int size) {
        if (size < 0 || size > BUFFER_SIZE) {
            throw new IllegalArgumentException("attribute size " + size + " must be 0 to " + BUFFER_SIZE + " bytes");
        }
    }

    private void check(Ioctl ioctl, Arena arena, int group, long attribute, MemorySegment value) {
        int result = request(ioctl, arena, group, attribute, value);
        if (result < 0) {
            throw new KvmException(
                    ioctl.name(),
                    owner + ", group " + group + ", attribute " + attribute,
                    -result,
                    "there is no such attribute, or its value can't be what was given; ask has() first");
        }
    }

    private int request(Ioctl ioctl, Arena arena, int group, long attribute, MemorySegment value) {
        MemorySegment request = KVM_DEVICE_ATTR.allocate(arena);
        request.set(JAVA_INT, GROUP, group);
        request.set(JAVA_LONG, ATTR, attribute);
        request.set(JAVA_LONG, ADDR, value.address());
        return owner.tryIoctl(ioctl, request);
    }
}
