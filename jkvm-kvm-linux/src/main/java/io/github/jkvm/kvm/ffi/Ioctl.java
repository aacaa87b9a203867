package io.github.jkvm.kvm.ffi;

/**
 * A request of {@code /dev/kvm}, of a VM or of a vCPU, or of another kind of device.
 *
 * <p>The number packs direction, size of the argument, device type and request as in Linux, include/uapi/asm-generic/ioctl.h, which holds
 * for x86-64 and aarch64.
 *
 * @param name the name in the kernel's header, for messages
 * @param number the second argument of {@code ioctl(2)}
 */
public record Ioctl(String name, long number) {
    /** {@code KVMIO}: the device type of all of KVM's requests (linux/kvm.h). */
    private static final int KVMIO = 0xAE;

    private static final int TYPE_SHIFT = 8;
    private static final int SIZE_SHIFT = 16;
    private static final int SIZE_LIMIT = 1 << 14;
    private static final int DIRECTION_SHIFT = 30;
    private static final long WRITE = 1;
    private static final long READ = 2;

    /**
     * Returns a request that takes a number or nothing ({@code _IO}).
     *
     * @param name its name
     * @param request its number within the device type, 0 to 255
     * @return the request
     */
    public static Ioctl io(String name, int request) {
        return of(name, 0, request, 0);
    }

    /**
     * Returns a request that fills a structure ({@code _IOR}).
     *
     * @param name its name
     * @param request its number within the device type, 0 to 255
     * @param size size of the structure in bytes
     * @return the request
     */
    public static Ioctl ior(String name, int request, long size) {
        return of(name, READ, request, size);
    }

    /**
     * Returns a request that reads a structure ({@code _IOW}).
     *
     * @param name its name
     * @param request its number within the device type, 0 to 255
     * @param size size of the structure in bytes
     * @return the request
     */
    public static Ioctl iow(String name, int request, long size) {
        return of(name, WRITE, request, size);
    }

    /**
     * Returns a request that reads and fills a structure ({@code _IOWR}).
     *
     * @param name its name
     * @param request its number within the device type, 0 to 255
     * @param size size of the structure in bytes
     * @return the request
     */
    public static Ioctl iowr(String name, int request, long size) {
        return of(name, READ | WRITE, request, size);
    }

    /**
     * Returns a request of another kind of device that reads a structure ({@code _IOW}).
     *
     * @param name its name
     * @param type the device type, such as {@code 'T'}: the first argument of {@code _IOW}
     * @param request its number within the device type, 0 to 255
     * @param size size of the structure in bytes
     * @return the request
     */
    public static Ioctl iow(String name, char type, int request, long size) {
        return of(name, WRITE, type, request, size);
    }

    private static Ioctl of(String name, long direction, int request, long size) {
        return of(name, direction, KVMIO, request, size);
    }

    private static Ioctl of(String name, long direction, int type, int request, long size) {
        if (request < 0 || request > 0xFF || size < 0 || size >= SIZE_LIMIT) {
            throw new IllegalArgumentException(
                    name + ": request " + request + " must be 0 to 255 and size " + size + " below " + SIZE_LIMIT);
        }
        return new Ioctl(name, direction << DIRECTION_SHIFT | size << SIZE_SHIFT | (long) type << TYPE_SHIFT | request);
    }
}
