package io.github.jkvm.virtio.fs;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.github.jkvm.DeviceState;
import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OpenFlags;
import io.github.jkvm.kvm.ffi.PathCalls;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a guest knows and has open, in saved state: files by their paths beneath the folder. A file that has no path any more, or one that
 * leads elsewhere when the state is restored, is one that the guest has lost.
 */
final class SavedSession {
    private static final int MOST_BYTES = DeviceState.MAX_BYTES / 2;

    private static final byte[] ROOT_PATH = {'.'};

    private final SharedFolder folder;
    private final InodeTable inodes;
    private final HandleTable handles;

    SavedSession(SharedFolder folder, InodeTable inodes, HandleTable handles) {
        this.folder = folder;
        this.inodes = inodes;
        this.handles = handles;
    }

    void save(DeviceState state) {
        try (Arena arena = Arena.ofConfined()) {
            var scratch = new HostScratch(arena);
            MemorySegment buffer = arena.allocate(HostScratch.LONGEST_PATH);
            var files = new ByteArrayOutputStream();
            var out = new DataOutputStream(files);
            byte[] root = new byte[0];
            for (Inode known : inodes.list()) {
                Inode inode = inodes.acquire(known.id, scratch);
                if (inode == null) {
                    continue;
                }
                byte[] path = hostPath(inode.fd(), buffer, scratch);
                inodes.release(inode);
                if (inode.id == FuseLayout.ROOT_ID) {
                    root = path;
                } else if (isBeneath(path, root)) {
                    out.writeLong(inode.id);
                    out.writeLong(inode.references);
                    out.writeShort(inode.kind());
                    byte[] below = Arrays.copyOfRange(path, root.length == 1 ? 1 : root.length + 1, path.length);
                    out.writeShort(below.length);
                    out.write(below);
                }
                checkSize(files);
            }
            state.putBytes("files", files.toByteArray());
            state.putNumber("fileGeneration", inodes.nextGeneration());
            saveHandles(state);
        } catch (IOException e) {
            throw new UncheckedIOException("can't happen: the streams are in memory", e);
        }
    }

    private void saveHandles(DeviceState state) throws IOException {
        var open = new ByteArrayOutputStream();
        var out = new DataOutputStream(open);
        for (Handle handle : handles.list()) {
            out.writeLong(handle.id);
            out.writeLong(handle.inode().id);
            out.writeByte(handle.kind() == Handle.Kind.FOLDER ? 1 : 0);
            out.writeInt(handle.flags());
            checkSize(open);
        }
        state.putBytes("open", open.toByteArray());
        state.putNumber("openGeneration", handles.nextGeneration());
    }

    private void checkSize(ByteArrayOutputStream bytes) {
        if (bytes.size() > MOST_BYTES - HostScratch.LONGEST_PATH - Long.BYTES * 3) {
            throw new IllegalStateException("the guest knows " + inodes.size() + " files and has " + handles.size()
                    + " open, whose names take more than the " + MOST_BYTES
                    + " bytes that can be saved; let it forget some (echo 2 >/proc/sys/vm/drop_caches)");
        }
    }

    /** The path that the host's kernel tells of an open file; of a deleted one it is that of nothing. */
    private static byte[] hostPath(int fd, MemorySegment buffer, HostScratch scratch) {
        long length = PathCalls.readlinkat(PathCalls.AT_FDCWD, scratch.place(fd), buffer, buffer.byteSize());
        return length <= 0 || length == buffer.byteSize()
                ? new byte[0]
                : buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
    }

    private static boolean isBeneath(byte[] path, byte[] root) {
        // The root of the host is "/", every other one has no slash at its end.
        int slash = root.length == 1 ? 0 : root.length;
        return root.length > 0
                && path.length > slash + 1
                && path[slash] == '/'
                && Arrays.equals(path, 0, root.length, root, 0, root.length);
    }

    void restore(DeviceState state) {
        byte[] files = state.bytes("files", MOST_BYTES);
        byte[] open = state.bytes("open", MOST_BYTES);
        int fileGeneration = (int) state.number("fileGeneration", 0, Integer.MAX_VALUE);
        int openGeneration = (int) state.number("openGeneration", 0, Integer.MAX_VALUE);
        try (Arena arena = Arena.ofConfined()) {
            var scratch = new HostScratch(arena);
            MemorySegment path = arena.allocate(HostScratch.LONGEST_PATH);
            restoreFiles(new DataInputStream(new ByteArrayInputStream(files)), path, scratch);
            restoreHandles(new DataInputStream(new ByteArrayInputStream(open)), scratch);
        } catch (IOException e) {
            throw new IllegalArgumentException("state entry 'files' or 'open' ends too early", e);
        } finally {
            inodes.placed(fileGeneration);
            handles.placed(openGeneration);
        }
    }

    private void restoreFiles(DataInputStream in, MemorySegment path, HostScratch scratch) throws IOException {
        Inode root = inodes.acquire(FuseLayout.ROOT_ID, scratch);
        if (root == null) {
            throw new IllegalStateException("the folder is closed");
        }
        try {
            // Folders before what is in them.
            Map<String, Long> folders = new HashMap<>();
            folders.put("", FuseLayout.ROOT_ID);
            for (SavedFile file : files(in)) {
                if (restoreFile(root, file, folders.get(file.parent()), path, scratch)
                        && file.kind() == FileStat.S_IFDIR) {
                    folders.put(file.path(), file.id());
                }
            }
        } finally {
            inodes.release(root);
        }
    }

    /** A file in the state. The path is of bytes, each a character. */
    private record SavedFile(long id, long references, int kind, String path) {
        String parent() {
            return path.substring(0, Math.max(path.lastIndexOf('/'), 0));
        }
    }

    private static List<SavedFile> files(DataInputStream in) throws IOException {
        List<SavedFile> files = new ArrayList<>();
        while (in.available() > 0) {
            long id = in.readLong();
            long references = in.readLong();
            int kind = in.readUnsignedShort();
            byte[] path = new byte[in.readUnsignedShort()];
            in.readFully(path);
            if (path.length >= HostScratch.LONGEST_PATH || Arrays.equals(path, ROOT_PATH)) {
                throw new IllegalArgumentException(
                        "saved path of file " + id + " is no path: '" + new String(path, UTF_8) + "'");
            }
            files.add(new SavedFile(id, references, kind, new String(path, ISO_8859_1)));
        }
        files.sort(Comparator.comparingInt(file -> file.path().length()));
        return files;
    }

    /** Puts a file back; its folder is null if the guest does not know it. Returns false if the guest has lost the file. */
    private boolean restoreFile(
            Inode root, SavedFile file, @Nullable Long parent, MemorySegment path, HostScratch scratch) {
        byte[] bytes = file.path().getBytes(ISO_8859_1);
        MemorySegment.copy(bytes, 0, path, ValueLayout.JAVA_BYTE, 0, bytes.length);
        path.set(ValueLayout.JAVA_BYTE, bytes.length, (byte) 0);
        int fd = folder.find(root.fd(), path, scratch);
        if (fd < 0) {
            return false;
        }
        FileStat stat = scratch.stat();
        if (stat.read(fd) != 0 || stat.kind() != file.kind() || inodes.isFull()) {
            Libc.close(fd);
            return false;
        }
        int start = file.path().lastIndexOf('/') + 1;
        MemorySegment name = parent == null ? null : path.asSlice(start, bytes.length + 1 - start);
        inodes.enterAs(fd, stat, parent == null ? 0 : parent, name, file.id(), file.references());
        return true;
    }

    private void restoreHandles(DataInputStream in, HostScratch scratch) throws IOException {
        while (in.available() > 0) {
            long id = in.readLong();
            long node = in.readLong();
            boolean isFolder = in.readByte() != 0;
            int flags = in.readInt();
            Inode inode = inodes.acquire(node, scratch);
            if (inode == null) {
                continue;
            }
            try {
                restoreHandle(inode, id, isFolder ? Handle.Kind.FOLDER : Handle.Kind.FILE, flags, scratch);
            } finally {
                inodes.release(inode);
            }
        }
    }

    private void restoreHandle(Inode inode, long id, Handle.Kind kind, int flags, HostScratch scratch) {
        if (handles.isFull()) {
            return;
        }
        int kept = flags & ~OpenFlags.O_TRUNC;
        int fd = kind == Handle.Kind.FOLDER ? folder.openFolder(inode, scratch) : folder.open(inode, kept, scratch);
        if (fd >= 0) {
            handles.openAs(new Handle(fd, kind, inode, kept), id);
        }
    }
}
