package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.linux.EntryHeader.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.time.Instant;
import java.util.Set;

/** Copies files of the host into a guest. */
public final class FileSender {
    private static final int CHUNK = 64 << 10;

    /** Permissions of a file whose owner may write, and all others read. */
    private static final int PLAIN = 0644;

    private final AgentConnection connection;

    private FileSender(AgentConnection connection) {
        this.connection = connection;
    }

    /**
     * Copies a file or folder.
     *
     * @param calls the sandbox's calls
     * @param limits what the call may use
     * @param source of the host; a symbolic link is followed, those below it are copied as links
     * @param target its absolute path in the guest
     * @throws IOException if the source can't be read
     * @throws SandboxException if the guest can't write it
     */
    public static void copy(Calls calls, Limits limits, Path source, String target) throws IOException {
        byte[] path = GuestPath.check(target);
        // Before anything is asked of the guest: there is no way to end a copy midway but to hang up.
        Path top = source.toRealPath();
        calls.run(limits, call -> {
            var sender = new FileSender(call.connection());
            sender.connection.send(FrameType.PUT, path);
            sender.walk(top);
            sender.finish();
        });
    }

    /**
     * Writes a file.
     *
     * @param calls the sandbox's calls
     * @param limits what the call may use
     * @param contents what is in it
     * @param target its absolute path in the guest
     * @throws SandboxException if the guest can't write it
     */
    public static void write(Calls calls, Limits limits, byte[] contents, String target) {
        byte[] path = GuestPath.check(target);
        calls.run(limits, call -> {
            var sender = new FileSender(call.connection());
            sender.connection.send(FrameType.PUT, path);
            new EntryHeader(Kind.FILE, PLAIN, Instant.now().getEpochSecond(), "", "").send(sender.connection);
            for (int done = 0; done < contents.length; done += CHUNK) {
                sender.send(contents, done, Math.min(CHUNK, contents.length - done));
            }
            sender.finish();
        });
    }

    private void send(byte[] bytes, int offset, int count) {
        connection.send(FrameType.BYTES, out -> out.put(bytes, offset, count));
    }

    private void finish() {
        connection.send(FrameType.END);
        Frame answer = connection.read();
        switch (answer.type()) {
            case DONE -> answer.checkSize(0);
            case FAILED -> throw new SandboxException(answer.failure());
            default -> throw answer.unexpected();
        }
    }

    private void walk(Path top) throws IOException {
        Files.walkFileTree(top, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) throws IOException {
                header(Kind.FOLDER, top, folder, attributes, "");
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                if (attributes.isSymbolicLink()) {
                    String target = Files.readSymbolicLink(file).toString();
                    header(Kind.LINK, top, file, attributes, target);
                } else if (attributes.isRegularFile()) {
                    header(Kind.FILE, top, file, attributes, "");
                    contents(file);
                } else {
                    throw new IOException(file + " is no file, folder or symbolic link");
                }
                return FileVisitResult.CONTINUE;
            }
        });
    }

    private void header(Kind kind, Path top, Path file, BasicFileAttributes attributes, String target)
            throws IOException {
        int mode = kind == Kind.LINK ? 0 : permissions(file);
        long seconds = attributes.lastModifiedTime().toInstant().getEpochSecond();
        new EntryHeader(kind, mode, seconds, top.relativize(file).toString(), target).send(connection);
    }

    private static int permissions(Path file) throws IOException {
        Set<PosixFilePermission> granted = Files.getPosixFilePermissions(file, LinkOption.NOFOLLOW_LINKS);
        int mode = 0;
        for (PosixFilePermission permission : granted) {
            mode |= FileModes.bit(permission);
        }
        return mode;
    }

    private void contents(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
            byte[] chunk = new byte[CHUNK];
            for (int count; (count = in.read(chunk)) >= 0; ) {
                send(chunk, 0, count);
            }
        }
    }
}
