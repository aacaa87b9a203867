package io.github.jkvm.virtio.vhost;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.Epoll;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.ffi.UnixSocket;
import io.github.jkvm.virtio.queue.DescriptorChain;
import io.github.jkvm.virtio.queue.PopResult;
import io.github.jkvm.virtio.queue.QueueFeature;
import io.github.jkvm.virtio.queue.QueueLayout;
import io.github.jkvm.virtio.queue.VirtQueue;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A back end on a thread: answers each chain with what it reads. Written from the protocol's text, not from the front end's code. */
final class TestBackEnd implements VhostUserDevice.BackEndAddress {
    static final long ALL_FEATURES = 1L << 30 | 1L << 32 | 1L << 28 | 1L << 29 | 1L << 34 | 0xFFFF;

    /** Requests in the order they came, with their payload as numbers. */
    final List<String> log = new CopyOnWriteArrayList<>();

    long features = ALL_FEATURES;
    long protocol = 1L | 1L << 3 | 1L << 9;
    long queues = 16;
    byte[] config = new byte[60];
    Duration patience = VhostUserDevice.PATIENCE;

    /** Request that is answered with nonsense, not at all, or with the connection's end. */
    volatile int wrongAt;

    volatile int silentAt;
    volatile int endAt;

    /** Whether chains are taken and not completed. */
    volatile boolean holds;

    /** What the front end has sent as configuration: offset, and bytes. */
    final List<String> configWrites = new CopyOnWriteArrayList<>();

    /** Notes on chains in flight that the front end gave to this one, made by another one; nothing if they are new. */
    volatile String inheritedNotes = "";

    /** What this one notes. */
    volatile String notes = "";

    private volatile @Nullable UnixSocket current;
    private volatile @Nullable UnixSocket channel;

    @Override
    public VhostWire connect() throws IOException {
        List<UnixSocket> ends = UnixSocket.pair("back end");
        current = ends.get(1);
        Thread.ofPlatform().daemon().start(() -> new Session(ends.get(1)).run());
        return VhostWire.over(ends.get(0));
    }

    @Override
    public Duration patience() {
        return patience;
    }

    /** Ends the connection as a process does that is killed. */
    void kill() {
        UnixSocket now = current;
        if (now != null) {
            now.close();
        }
    }

    /** Makes a request of its own, and returns the answer's last number if it wants one. */
    long request(int type, int flags) throws IOException {
        UnixSocket socket = channel;
        if (socket == null) {
            throw new IOException("the front end takes no requests");
        }
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
        ByteBuffer message = ByteBuffer.allocate(12).order(ByteOrder.nativeOrder());
        message.putInt(type).putInt(flags).putInt(0);
        socket.send(message.array(), List.of(), deadline);
        if ((flags & 8) == 0) {
            return -1;
        }
        byte[] answer = new byte[20];
        socket.receive(answer, 0, deadline);
        ByteBuffer fields = ByteBuffer.wrap(answer).order(ByteOrder.nativeOrder());
        if (fields.getInt() != type || fields.getInt() != (1 | 4) || fields.getInt() != 8) {
            throw new IOException("that is no answer");
        }
        return fields.getLong();
    }

    boolean hasChannel() {
        return channel != null;
    }

    private static final class Ring {
        int size;
        int base;
        long descriptors;
        long used;
        long available;
        OwnedFd kick;
        OwnedFd call;
        VirtQueue queue;
    }

    private final class Session {
        private final UnixSocket socket;
        private final Epoll epoll = Epoll.create("back end");
        private final Arena arena = Arena.ofAuto();
        private final Map<Integer, Ring> rings = new HashMap<>();
        private final List<long[]> table = new ArrayList<>();
        private GuestMemory memory = new GuestMemory();
        private long chosen;
        private List<OwnedFd> replyFiles = List.of();

        Session(UnixSocket socket) {
            this.socket = socket;
        }

        void run() {
            try (epoll) {
                epoll.add(socket.fd(), Epoll.IN, -1);
                while (true) {
                    int count = epoll.await();
                    if (socket.fd().isClosed()) {
                        // Killed: what it is asked for is for the next one.
                        return;
                    }
                    for (int i = 0; i < count; i++) {
                        if (epoll.token(i) == -1) {
                            request();
                        } else {
                            serve(rings.get((int) epoll.token(i)));
                        }
                    }
                }
            } catch (Exception end) {
                socket.close();
            }
        }

        private void request() throws Exception {
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
            byte[] header = new byte[12];
            List<OwnedFd> files = socket.receive(header, 8, deadline);
            ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.nativeOrder());
            int type = fields.getInt();
            int flags = fields.getInt();
            byte[] payload = new byte[fields.getInt()];
            socket.receive(payload, 0, deadline);
            ByteBuffer body = ByteBuffer.wrap(payload).order(ByteOrder.nativeOrder());
            log.add(type + "/" + payload.length + "/" + files.size());
            replyFiles = List.of();
            if (type == endAt) {
                throw new IOException("end");
            }
            byte[] answer = handle(type, body, files);
            if (type == silentAt || (answer == null && (flags & 8) == 0)) {
                return;
            }
            byte[] content = answer != null ? answer : new byte[8];
            ByteBuffer reply = ByteBuffer.allocate(12 + content.length).order(ByteOrder.nativeOrder());
            reply.putInt(type == wrongAt ? 99 : type)
                    .putInt(1 | 4)
                    .putInt(content.length)
                    .put(content);
            byte[] message = new byte[reply.rewind().remaining()];
            reply.get(message);
            socket.send(message, replyFiles, deadline);
        }

        private byte[] handle(int type, ByteBuffer body, List<OwnedFd> files) throws Exception {
            return switch (type) {
                case 1 -> number(features);
                case 11 -> stop(body.getInt());
                case 15 -> number(protocol);
                case 17 -> number(queues);
                case 31 -> makeNotes(body);
                case 24 -> {
                    byte[] answer = new byte[body.remaining()];
                    body.get(answer);
                    System.arraycopy(config, 0, answer, 12, answer.length - 12);
                    yield answer;
                }
                default -> {
                    set(type, body, files);
                    yield null;
                }
            };
        }

        /** Takes a request that has no answer of its own. */
        private void set(int type, ByteBuffer body, List<OwnedFd> files) throws Exception {
            switch (type) {
                case 2 -> chosen = body.getLong();
                case 5 -> mapMemory(body, files);
                case 8 -> ring(body.getInt()).size = body.getInt();
                case 9 -> {
                    Ring ring = ring(body.getInt());
                    body.position(2 * Integer.BYTES);
                    ring.descriptors = body.getLong();
                    ring.used = body.getLong();
                    ring.available = body.getLong();
                }
                case 10 -> ring(body.getInt()).base = body.getInt();
                case 12 -> {
                    int index = (int) body.getLong();
                    ring(index).kick = files.get(0);
                    start(index);
                }
                case 13 -> ring((int) body.getLong()).call = files.get(0);
                case 18 -> log.add("enable " + body.getInt() + " " + body.getInt());
                case 21 -> channel = UnixSocket.over(files.get(0));
                case 25 -> {
                    int offset = body.getInt();
                    body.position(12);
                    configWrites.add(offset + "=" + body.get());
                }
                case 32 -> takeNotes(body, files.get(0));
                default -> {}
            }
        }

        /** One page of memory. */
        private byte[] makeNotes(ByteBuffer request) throws Exception {
            int fd = Libc.memfd_create(arena.allocateFrom("notes"), 1);
            Libc.ftruncate(fd, 4096);
            replyFiles = List.of(new OwnedFd(fd, "notes"));
            byte[] answer = new byte[24];
            ByteBuffer.wrap(answer)
                    .order(ByteOrder.nativeOrder())
                    .putLong(4096)
                    .putLong(0)
                    .putShort(request.getShort(16))
                    .putShort(request.getShort(18));
            return answer;
        }

        private void takeNotes(ByteBuffer body, OwnedFd file) throws Exception {
            long size = body.getLong();
            MemorySegment memory = SharedRegion.map(arena, file, size, body.getLong());
            inheritedNotes = memory.getString(0);
            notes = "notes of " + System.identityHashCode(TestBackEnd.this) + " for " + body.getShort() + " queues of "
                    + body.getShort();
            memory.setString(0, notes);
            file.close();
        }

        private byte[] number(long value) {
            return ByteBuffer.allocate(8)
                    .order(ByteOrder.nativeOrder())
                    .putLong(value)
                    .array();
        }

        private Ring ring(int index) {
            return rings.computeIfAbsent(index, i -> new Ring());
        }

        private void mapMemory(ByteBuffer body, List<OwnedFd> files) throws Exception {
            int count = body.getInt();
            body.position(2 * Integer.BYTES);
            memory = new GuestMemory();
            table.clear();
            for (int i = 0; i < count; i++) {
                long[] entry = {body.getLong(), body.getLong(), body.getLong(), body.getLong()};
                table.add(entry);
                MemorySegment segment = SharedRegion.map(arena, files.get(i), entry[1], entry[3]);
                memory.add(MemoryRegion.of(GuestAddress.of(entry[0]), segment, MemoryRegion.Access.READ_WRITE));
                files.get(i).close();
            }
        }

        private long guestAddress(long userAddress) {
            for (long[] entry : table) {
                if (userAddress >= entry[2] && userAddress < entry[2] + entry[1]) {
                    return userAddress - entry[2] + entry[0];
                }
            }
            throw new IllegalStateException("no such address: " + userAddress);
        }

        private void start(int index) {
            Ring ring = ring(index);
            ring.queue = new VirtQueue(memory, 256);
            Set<QueueFeature> used = EnumSet.noneOf(QueueFeature.class);
            for (QueueFeature feature : QueueFeature.values()) {
                if ((chosen & 1L << feature.bit()) != 0) {
                    used.add(feature);
                }
            }
            var layout = new QueueLayout(
                    ring.size, guestAddress(ring.descriptors), guestAddress(ring.available), guestAddress(ring.used));
            ring.queue.activate(layout, used);
            ring.queue.moveTo(ring.base & 0xFFFF);
            epoll.add(ring.kick, Epoll.IN, index);
        }

        private byte[] stop(int index) {
            Ring ring = rings.remove(index);
            epoll.remove(ring.kick);
            ring.kick.close();
            ring.call.close();
            int position = ring.queue.position();
            return number(Integer.toUnsignedLong(index) | (long) position << Integer.SIZE);
        }

        private void serve(Ring ring) {
            if (ring == null) {
                return;
            }
            ring.kick.tryRead(arena.allocate(8, 8));
            var chain = new DescriptorChain();
            do {
                ring.queue.disableNotifications();
                while (!holds && ring.queue.pop(chain) == PopResult.CHAIN) {
                    byte[] bytes = new byte[(int) chain.readableBytes()];
                    chain.reader().readExactly(MemorySegment.ofArray(bytes));
                    long written = chain.writer().write(MemorySegment.ofArray(bytes));
                    ring.queue.complete(chain, written);
                }
            } while (ring.queue.enableNotifications());
            if (ring.queue.interruptNeeded()) {
                ring.call.tryWrite(arena.allocateFrom(ValueLayout.JAVA_LONG, 1));
            }
        }
    }
}
