package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A network interface of the host (TAP): what the guest sends arrives there, and what the host sends there the guest gets. Frames go straight
 * between guest memory and the kernel, with checksums and long TCP frames left to whoever does them best.
 *
 * <p>The interface is made when it is opened and gone when it is closed, unless it was there before ({@code ip tuntap add}). Addresses, routes
 * and bridges are the host's business, as in {@code ip addr add 10.0.0.1/24 dev tap0 && ip link set tap0 up}.
 *
 * <p>Guest memory must be native, as that of every real machine is.
 */
public final class TapBackend implements NetBackend {
    private static final String DEVICE = "/dev/net/tun";

    private static final int MAX_PAIRS = 64;

    private final String name;
    private final TapQueue[] queues;
    private @Nullable Events events;
    private volatile LinkState link = LinkState.UP;
    private int usedPairs;

    private TapBackend(String name, TapQueue[] queues) {
        this.name = name;
        this.queues = queues;
        this.usedPairs = queues.length;
    }

    /**
     * Opens an interface with one pair of queues.
     *
     * @param name its name, 1 to 15 bytes, such as {@code tap0}; in {@code tap%d} the kernel puts a free number
     * @return the backend
     * @throws IllegalArgumentException if it is no such name
     * @throws HypervisorException if the host refuses; the text tells what to do
     */
    public static TapBackend open(String name) {
        return open(name, 1);
    }

    /**
     * Opens an interface with several pairs of queues.
     *
     * @param name its name, 1 to 15 bytes, such as {@code tap0}; in {@code tap%d} the kernel puts a free number
     * @param queuePairs how many, 1 to 64; with more than one, an interface that is there already must have been made with
     *     {@code multi_queue}
     * @return the backend
     * @throws IllegalArgumentException if it is no such name, or the number is out of range
     * @throws HypervisorException if the host refuses; the text tells what to do
     */
    public static TapBackend open(String name, int queuePairs) {
        byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
        if (bytes.length == 0 || bytes.length > TunIoctls.MAX_NAME || name.indexOf('/') >= 0 || name.indexOf(0) >= 0) {
            throw new IllegalArgumentException(
                    "interface name '" + name + "' must have 1 to " + TunIoctls.MAX_NAME + " bytes and no slash");
        }
        if (queuePairs < 1 || queuePairs > MAX_PAIRS) {
            throw new IllegalArgumentException(queuePairs + " queue pairs: it must be 1 to " + MAX_PAIRS);
        }
        var queues = new TapQueue[queuePairs];
        int opened = 0;
        try {
            String actual = name;
            for (; opened < queuePairs; opened++) {
                OwnedFd fd = openDevice(actual);
                queues[opened] = new TapQueue(fd);
                actual = join(fd, actual, queuePairs > 1);
            }
            var backend = new TapBackend(actual, queues);
            backend.guestAccepts(Set.of());
            backend.usePairs(1);
            return backend;
        } catch (RuntimeException e) {
            for (int i = 0; i <= opened && i < queuePairs; i++) {
                if (queues[i] != null) {
                    queues[i].close();
                }
            }
            throw e;
        }
    }

    private static OwnedFd openDevice(String name) {
        try (Arena arena = Arena.ofConfined()) {
            int fd = Libc.open(arena.allocateFrom(DEVICE), Libc.O_RDWR | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
            if (fd < 0) {
                throw new KvmException("open", DEVICE, -fd, openHint(-fd));
            }
            return new OwnedFd(fd, "interface " + name);
        }
    }

    private static String openHint(int errno) {
        return switch (errno) {
            case Errno.ENOENT, Errno.ENODEV, Errno.ENXIO ->
                "the host has no TAP interfaces; load them with 'modprobe tun', and give containers the device "
                        + DEVICE;
            case Errno.EACCES, Errno.EPERM ->
                "this user may not open " + DEVICE + "; it is usually open to all, see 'ls -l'";
            default -> "see Documentation/networking/tuntap.rst of Linux";
        };
    }

    /** Makes the descriptor a queue of the interface and returns the interface's name. */
    private static String join(OwnedFd fd, String name, boolean several) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = arena.allocate(TunIoctls.IFREQ_SIZE, Long.BYTES);
            request.setString(0, name);
            int flags = TunIoctls.IFF_TAP
                    | TunIoctls.IFF_NO_PI
                    | TunIoctls.IFF_VNET_HDR
                    | (several ? TunIoctls.IFF_MULTI_QUEUE : 0);
            request.set(ValueLayout.JAVA_SHORT, TunIoctls.IFREQ_FLAGS, (short) flags);
            int result = fd.tryIoctl(TunIoctls.TUNSETIFF, request);
            if (result < 0) {
                throw new KvmException("TUNSETIFF", DEVICE + ", " + name, -result, joinHint(-result, name, several));
            }
            MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_INT, OffloadHeader.SIZE);
            fd.ioctl(TunIoctls.TUNSETVNETHDRSZ, size);
            return request.getString(0);
        }
    }

    private static String joinHint(int errno, String name, boolean several) {
        return switch (errno) {
            case Errno.EPERM ->
                "making an interface takes CAP_NET_ADMIN; run as root, or have root make it for this user with"
                        + " 'ip tuntap add dev " + name + " mode tap user NAME" + (several ? " multi_queue'" : "'");
            case Errno.EBUSY -> "another program has it open; choose another name";
            case Errno.EINVAL ->
                "there is an interface of that name, of another kind; choose another name, or make it with"
                        + " 'ip tuntap add dev " + name + " mode tap vnet_hdr" + (several ? " multi_queue'" : "'");
            default -> "see Documentation/networking/tuntap.rst of Linux";
        };
    }

    /**
     * Returns the name of the interface.
     *
     * @return the name, with the kernel's number in it if there is one
     */
    public String interfaceName() {
        return name;
    }

    @Override
    public int maxQueuePairs() {
        return queues.length;
    }

    @Override
    public Set<Offload> offloads() {
        return EnumSet.allOf(Offload.class);
    }

    @Override
    public LinkState link() {
        return link;
    }

    @Override
    public void start(EventLoop loop, Events to) {
        events = to;
        for (int i = 0; i < queues.length; i++) {
            queues[i].start(loop, to, i);
        }
        guestAccepts(Set.of());
        usePairs(1);
    }

    @Override
    public void guestAccepts(Set<Offload> accepted) {
        int flags = 0;
        for (Offload offload : accepted) {
            flags |= TunIoctls.flag(offload);
        }
        int result = queues[0].fd().tryIoctl(TunIoctls.TUNSETOFFLOAD, flags);
        if (result == -Errno.EBADFD) {
            gone();
        } else if (result < 0) {
            throw KvmException.of("TUNSETOFFLOAD", toString(), -result);
        }
    }

    @Override
    public void usePairs(int pairs) {
        // The kernel spreads frames over all attached queues; one that nobody reads would swallow its share.
        for (int i = usedPairs; i < pairs; i++) {
            attach(queues[i], TunIoctls.IFF_ATTACH_QUEUE);
        }
        for (int i = pairs; i < usedPairs; i++) {
            attach(queues[i], TunIoctls.IFF_DETACH_QUEUE);
        }
        usedPairs = pairs;
    }

    @Override
    public Sent send(int pair, Frame frame) {
        return queues[pair].send(frame);
    }

    @Override
    public long receive(int pair, Frame room) {
        long size = queues[pair].receive(room);
        if (size < 0) {
            gone();
            return 0;
        }
        return size;
    }

    private void attach(TapQueue queue, int flag) {
        int result = queue.attach(flag);
        // EINVAL: it belongs to no interface any more (Linux, drivers/net/tun.c, tun_set_queue).
        if (result == -Errno.EINVAL || result == -Errno.EBADFD) {
            gone();
        } else if (result < 0) {
            throw KvmException.of("TUNSETQUEUE", toString(), -result);
        }
    }

    /** Somebody has deleted the interface. */
    private void gone() {
        Events to = events;
        if (link == LinkState.UP) {
            link = LinkState.DOWN;
            if (to != null) {
                to.linkChanged(LinkState.DOWN);
            }
        }
    }

    @Override
    public void stop() {
        events = null;
        for (TapQueue queue : queues) {
            queue.stop();
        }
    }

    @Override
    public void close() {
        for (TapQueue queue : queues) {
            queue.close();
        }
    }

    /** Returns the name of the interface. */
    @Override
    public String toString() {
        return "interface " + name;
    }
}
