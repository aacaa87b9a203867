package io.github.jkvm.virtio.fs;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The guest's kernel, as far as a FUSE server sees it: makes requests and takes replies apart. Belongs to one thread. */
final class FuseClient implements AutoCloseable {
    static final long ROOT = FuseLayout.ROOT_ID;
    static final int O_RDONLY = 0;
    static final int O_WRONLY = 1;
    static final int O_RDWR = 2;
    static final int O_EXCL = 0x80;
    static final int O_TRUNC = 0x200;

    /** More than any reply of a test. */
    static final int ROOM = 0x2_0000;

    /** What came back. */
    record Reply(int error, long unique, ByteBuffer body, long written) {
        int intAt(int offset) {
            return body.getInt(offset);
        }

        long longAt(int offset) {
            return body.getLong(offset);
        }

        byte[] bytes() {
            byte[] bytes = new byte[body.limit()];
            body.get(0, bytes);
            return bytes;
        }

        String text() {
            return new String(bytes(), UTF_8);
        }

        /** The number of the file that an entry tells of. */
        long node() {
            return longAt(FuseLayout.ENTRY_NODEID);
        }

        /** The mode of the file that an entry tells of. */
        int mode() {
            return intAt(FuseLayout.ENTRY_ATTR + FuseLayout.ATTR_MODE);
        }
    }

    /** How messages reach the server. */
    interface Wire extends AutoCloseable {
        /** Sends a message with so much room for the reply, and returns what was written of it. */
        byte[] send(byte[] message, int room);

        @Override
        void close();
    }

    private final Wire wire;
    private long unique;
    private int user;
    private int group;

    FuseClient(Wire wire) {
        this.wire = wire;
    }

    /** Serves a folder and agrees on a version. */
    static FuseClient mount(Path folder, FsOptions options) throws IOException {
        var client = new FuseClient(new DirectWire(new FuseServer(folder, options), true));
        client.init();
        return client;
    }

    /** One more thread's client of the same server. */
    FuseClient another() {
        return new FuseClient(new DirectWire(server(), false));
    }

    FuseServer server() {
        return ((DirectWire) wire).server;
    }

    /** Straight to a server, from memory cut in odd pieces. */
    private static final class DirectWire implements Wire {
        private final FuseServer server;
        private final boolean ownsServer;
        private final Arena arena = Arena.ofConfined();
        private final FuseExchange exchange = new FuseExchange(arena);
        private final MemorySegment request = arena.allocate(0x20_0000, 8);
        private final MemorySegment room = arena.allocate(0x20_0000, 8);

        DirectWire(FuseServer server, boolean ownsServer) {
            this.server = server;
            this.ownsServer = ownsServer;
        }

        @Override
        public byte[] send(byte[] message, int roomBytes) {
            MemorySegment.copy(message, 0, request, ValueLayout.JAVA_BYTE, 0, message.length);
            room.asSlice(0, roomBytes).fill((byte) 0x5A);
            long written = server.serve(
                    exchange, pieces(request.asSlice(0, message.length), 13), pieces(room.asSlice(0, roomBytes), 29));
            return room.asSlice(0, written).toArray(ValueLayout.JAVA_BYTE);
        }

        @Override
        public void close() {
            if (ownsServer) {
                server.close();
            }
            arena.close();
        }
    }

    void actAs(int newUser, int newGroup) {
        user = newUser;
        group = newGroup;
    }

    Reply init() {
        return send(
                FuseLayout.INIT,
                0,
                args(64).putInt(7).putInt(38).putInt(0x2_0000).putInt(-1));
    }

    /** Little-endian arguments. */
    static ByteBuffer args(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    static byte[] bytes(ByteBuffer arguments) {
        byte[] bytes = new byte[arguments.capacity()];
        arguments.clear().get(bytes);
        return bytes;
    }

    static ByteBuffer text(String... texts) {
        return with(0, texts);
    }

    /** Numbers of four bytes, then texts with a NUL each. */
    static ByteBuffer ints(int[] numbers, String... texts) {
        ByteBuffer args = with(numbers.length * Integer.BYTES, texts);
        for (int i = 0; i < numbers.length; i++) {
            args.putInt(i * Integer.BYTES, numbers[i]);
        }
        return args;
    }

    private static ByteBuffer with(int before, String... texts) {
        byte[] bytes = (String.join("\0", texts) + "\0").getBytes(UTF_8);
        return args(before + bytes.length).put(before, bytes).position(before + bytes.length);
    }

    Reply send(int opcode, long node, ByteBuffer arguments) {
        return send(opcode, node, bytes(arguments), ROOM);
    }

    Reply send(int opcode, long node, byte[] arguments, int roomBytes) {
        unique += 2;
        ByteBuffer header = args(FuseLayout.IN_HEADER)
                .putInt(FuseLayout.IN_HEADER + arguments.length)
                .putInt(opcode)
                .putLong(unique)
                .putLong(node)
                .putInt(user)
                .putInt(group)
                .putInt(1);
        byte[] message = ByteBuffer.allocate(FuseLayout.IN_HEADER + arguments.length)
                .put(bytes(header))
                .put(arguments)
                .array();
        return send(message, roomBytes);
    }

    /** Sends bytes as they are. */
    Reply send(byte[] message, int roomBytes) {
        byte[] reply = wire.send(message, roomBytes);
        int written = reply.length;
        if (written > roomBytes) {
            throw new AssertionError("wrote " + written + " bytes into a room of " + roomBytes);
        }
        if (reply.length == 0) {
            return new Reply(0, 0, args(0), 0);
        }
        ByteBuffer buffer = ByteBuffer.wrap(reply).order(ByteOrder.LITTLE_ENDIAN);
        if (buffer.getInt(FuseLayout.OUT_LEN) != written) {
            throw new AssertionError("the header tells of " + buffer.getInt(0) + " bytes, written are " + written);
        }
        ByteBuffer body = buffer.slice(FuseLayout.OUT_HEADER, reply.length - FuseLayout.OUT_HEADER)
                .order(ByteOrder.LITTLE_ENDIAN);
        return new Reply(-buffer.getInt(FuseLayout.OUT_ERROR), buffer.getLong(FuseLayout.OUT_UNIQUE), body, written);
    }

    /** Cuts memory as a driver may, in pieces that no structure fits. */
    private static List<MemorySegment> pieces(MemorySegment all, long first) {
        List<MemorySegment> pieces = new ArrayList<>();
        long step = first;
        for (long at = 0; at < all.byteSize(); at += step, step = at < 1000 ? first : 4096) {
            pieces.add(all.asSlice(at, Math.min(step, all.byteSize() - at)));
            if (at + step >= all.byteSize()) {
                break;
            }
        }
        return pieces;
    }

    Reply lookup(long parent, String name) {
        return send(FuseLayout.LOOKUP, parent, text(name));
    }

    /** The number of a file that must be there. */
    long find(String path) {
        long node = ROOT;
        for (String name : path.split("/", -1)) {
            Reply reply = lookup(node, name);
            if (reply.error() != 0) {
                throw new AssertionError("no " + name + " of " + path + ": errno " + reply.error());
            }
            node = reply.node();
        }
        return node;
    }

    Reply getattr(long node) {
        return send(FuseLayout.GETATTR, node, args(16));
    }

    Reply mkdir(long parent, String name, int mode) {
        return send(FuseLayout.MKDIR, parent, ints(new int[] {mode, 0}, name));
    }

    Reply mknod(long parent, String name, int mode, int device) {
        return send(FuseLayout.MKNOD, parent, ints(new int[] {mode, device, 0, 0}, name));
    }

    Reply symlink(long parent, String name, String target) {
        return send(FuseLayout.SYMLINK, parent, text(name, target));
    }

    Reply link(long node, long parent, String name) {
        ByteBuffer args = with(8, name);
        return send(FuseLayout.LINK, parent, args.putLong(0, node));
    }

    Reply unlink(long parent, String name) {
        return send(FuseLayout.UNLINK, parent, text(name));
    }

    Reply rmdir(long parent, String name) {
        return send(FuseLayout.RMDIR, parent, text(name));
    }

    Reply rename(long parent, String name, long newParent, String newName) {
        return send(FuseLayout.RENAME, parent, with(8, name, newName).putLong(0, newParent));
    }

    Reply rename2(long parent, String name, long newParent, String newName, int flags) {
        return send(
                FuseLayout.RENAME2,
                parent,
                with(16, name, newName).putLong(0, newParent).putInt(8, flags));
    }

    Reply open(long node, int flags) {
        return send(FuseLayout.OPEN, node, args(8).putInt(flags));
    }

    long handle(Reply opened) {
        if (opened.error() != 0) {
            throw new AssertionError("can't open: errno " + opened.error());
        }
        return opened.longAt(opened.body().limit() - FuseLayout.OPEN_OUT);
    }

    Reply create(long parent, String name, int flags, int mode) {
        return send(FuseLayout.CREATE, parent, ints(new int[] {flags, mode, 0, 0}, name));
    }

    Reply read(long node, long handle, long offset, int size) {
        return send(
                FuseLayout.READ,
                node,
                args(FuseLayout.READ_IN)
                        .putLong(handle)
                        .putLong(offset)
                        .putInt(size)
                        .array(),
                FuseLayout.OUT_HEADER + size);
    }

    Reply write(long node, long handle, long offset, byte[] data) {
        return write(node, handle, offset, data, 0);
    }

    Reply write(long node, long handle, long offset, byte[] data, int flags) {
        ByteBuffer args = args(FuseLayout.WRITE_IN + data.length)
                .putLong(handle)
                .putLong(offset)
                .putInt(data.length)
                .putInt(flags)
                .put(FuseLayout.WRITE_IN, data);
        return send(FuseLayout.WRITE, node, args);
    }

    Reply release(long node, long handle) {
        return send(FuseLayout.RELEASE, node, args(FuseLayout.RELEASE_IN).putLong(handle));
    }

    Reply opendir(long node) {
        return send(FuseLayout.OPENDIR, node, args(8));
    }

    Reply readdir(int opcode, long node, long handle, long offset, int size) {
        return send(
                opcode,
                node,
                args(FuseLayout.READ_IN)
                        .putLong(handle)
                        .putLong(offset)
                        .putInt(size)
                        .array(),
                FuseLayout.OUT_HEADER + size);
    }

    /** Lists a folder to its end, in requests of a size: kinds by name. */
    Map<String, Integer> list(int opcode, long node, int size) {
        long handle = handle(opendir(node));
        int before = opcode == FuseLayout.READDIRPLUS ? FuseLayout.ENTRY_OUT : 0;
        Map<String, Integer> kinds = new LinkedHashMap<>();
        long offset = 0;
        while (true) {
            Reply reply = readdir(opcode, node, handle, offset, size);
            if (reply.error() != 0) {
                throw new AssertionError("can't list: errno " + reply.error());
            }
            if (reply.body().limit() == 0) {
                break;
            }
            for (int at = 0; at < reply.body().limit(); ) {
                int entry = at + before;
                int length = reply.intAt(entry + FuseLayout.DIRENT_NAMELEN);
                byte[] name = new byte[length];
                reply.body().get(entry + FuseLayout.DIRENT_NAME, name);
                if (kinds.put(new String(name, UTF_8), reply.intAt(entry + FuseLayout.DIRENT_TYPE)) != null) {
                    throw new AssertionError("listed twice: " + new String(name, UTF_8));
                }
                offset = reply.longAt(entry + FuseLayout.DIRENT_OFF);
                at += FuseLayout.aligned(before + FuseLayout.DIRENT + length);
            }
        }
        send(FuseLayout.RELEASEDIR, node, args(FuseLayout.RELEASE_IN).putLong(handle));
        return kinds;
    }

    Reply setattr(long node, int valid, SetAttributes values) {
        ByteBuffer args = args(FuseLayout.SETATTR_IN).putInt(valid);
        values.put(args);
        return send(FuseLayout.SETATTR, node, args);
    }

    /** Fields of a SETATTR. */
    interface SetAttributes {
        void put(ByteBuffer args);
    }

    Reply chmod(long node, int mode) {
        return setattr(node, FuseLayout.FATTR_MODE, args -> args.putInt(FuseLayout.SETATTR_MODE, mode));
    }

    Reply truncate(long node, long size) {
        return setattr(node, FuseLayout.FATTR_SIZE, args -> args.putLong(FuseLayout.SETATTR_SIZE, size));
    }

    Reply chown(long node, int newUser, int newGroup) {
        return setattr(
                node,
                FuseLayout.FATTR_UID | FuseLayout.FATTR_GID,
                args -> args.putInt(FuseLayout.SETATTR_UID, newUser).putInt(FuseLayout.SETATTR_GID, newGroup));
    }

    Reply setxattr(long node, String name, byte[] value, int flags) {
        byte[] bytes = (name + "\0").getBytes(UTF_8);
        ByteBuffer args = args(FuseLayout.SETXATTR_IN + bytes.length + value.length)
                .putInt(value.length)
                .putInt(flags)
                .put(bytes)
                .put(value);
        return send(FuseLayout.SETXATTR, node, args);
    }

    Reply getxattr(long node, String name, int size) {
        return send(FuseLayout.GETXATTR, node, ints(new int[] {size, 0}, name));
    }

    void forget(long node, long count) {
        send(FuseLayout.FORGET, node, args(8).putLong(count).array(), 0);
    }

    @Override
    public void close() {
        wire.close();
    }
}
