package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.linux.EntryHeader.Kind;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributeView;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Copies files out of a guest, which says what their names are: nothing is written but below the target, and through no link. Every file is a new one, in a
 * folder that was made for this.
 */
public final class FileReceiver {
    /** What a file counts beside its contents: it takes room on the host as well. */
    private static final int ENTRY_COST = 512;

    /** Permissions of owner, group and others: nothing runs as someone else. */
    private static final int PERMISSIONS = 0777;

    private final Call call;
    private final Path target;

    /** Those that were made, each before what is in it, with the modes that they get in the end: it may be one that keeps everyone from writing. */
    private final Map<Path, Integer> folders = new LinkedHashMap<>();

    /** All that was made, the last first. */
    private final Deque<Path> made = new ArrayDeque<>();

    private @Nullable FileChannel open;
    private @Nullable EntryHeader current;

    private FileReceiver(Call call, Path target) {
        this.call = call;
        this.target = target;
    }

    /**
     * Copies a file or folder.
     *
     * @param calls the sandbox's calls
     * @param limits what the call may use
     * @param source its absolute path in the guest
     * @param target what it becomes on the host, where nothing may be
     * @throws FileAlreadyExistsException if something is there
     * @throws IOException if it can't be written; nothing is left of it
     * @throws SandboxException if the guest can't read it, or it has what can't be copied; nothing is left of it
     */
    public static void copy(Calls calls, Limits limits, String source, Path target) throws IOException {
        byte[] path = GuestPath.check(source);
        if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
            throw new FileAlreadyExistsException(target.toString());
        }
        calls.run(limits, call -> {
            call.connection().send(FrameType.GET, path);
            var receiver = new FileReceiver(call, target);
            boolean done = false;
            try {
                receiver.receive();
                done = true;
            } finally {
                receiver.finishFile();
                if (!done) {
                    receiver.undo();
                }
            }
        });
    }

    /**
     * Reads a file.
     *
     * @param calls the sandbox's calls
     * @param limits what the call may use
     * @param source its absolute path in the guest
     * @param most how many bytes are taken
     * @return the bytes
     * @throws SandboxException if the guest can't read it, or it is none or has more
     */
    public static byte[] read(Calls calls, Limits limits, String source, int most) {
        byte[] path = GuestPath.check(source);
        var contents = new ByteArrayOutputStream();
        calls.run(limits, call -> {
            call.connection().send(FrameType.GET, path);
            read(call, source, most, contents);
        });
        return contents.toByteArray();
    }

    private static void read(Call call, String source, int most, ByteArrayOutputStream contents) {
        boolean begun = false;
        while (true) {
            Frame frame = call.connection().read();
            switch (frame.type()) {
                case ENTRY -> {
                    if (begun || header(frame).kind() != Kind.FILE) {
                        throw new SandboxException(source + " is no file of the guest");
                    }
                    begun = true;
                }
                case BYTES -> {
                    int count = frame.payload().remaining();
                    call.count(count);
                    if (!begun) {
                        throw frame.unexpected();
                    }
                    if (count > most - contents.size()) {
                        throw new SandboxException(source + " of the guest has more than " + most + " bytes");
                    }
                    byte[] bytes = new byte[count];
                    frame.payload().get(bytes);
                    contents.writeBytes(bytes);
                }
                case END -> {
                    if (!begun) {
                        throw frame.unexpected();
                    }
                    return;
                }
                case FAILED -> throw new SandboxException(frame.failure());
                default -> throw frame.unexpected();
            }
        }
    }

    private static EntryHeader header(Frame frame) {
        try {
            return EntryHeader.read(frame);
        } catch (IOException e) {
            throw new SandboxException("a file's name in the guest is not UTF-8, and can't be one of the host's", e);
        }
    }

    private void receive() throws IOException {
        while (true) {
            Frame frame = call.connection().read();
            switch (frame.type()) {
                case ENTRY -> {
                    finishFile();
                    call.count(ENTRY_COST);
                    begin(header(frame));
                }
                case BYTES -> {
                    call.count(frame.payload().remaining());
                    write(frame);
                }
                case END -> {
                    if (made.isEmpty()) {
                        throw frame.unexpected();
                    }
                    finishFile();
                    finishFolders();
                    return;
                }
                case FAILED -> throw new SandboxException(frame.failure());
                default -> throw frame.unexpected();
            }
        }
    }

    private void begin(EntryHeader entry) throws IOException {
        Path place;
        try {
            place = place(entry.name());
        } catch (InvalidPathException e) {
            throw new SandboxException(
                    "'" + printable(entry.name()) + "' of the guest can't be a name on this host", e);
        }
        switch (entry.kind()) {
            case FOLDER -> {
                Files.createDirectory(place);
                folders.put(place, entry.mode());
            }
            case FILE -> {
                open = FileChannel.open(place, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
                current = entry;
            }
            case LINK -> Files.createSymbolicLink(place, harmless(entry));
            case OTHER ->
                throw new SandboxException("'" + entry.name() + "' of the guest is no file, folder or symbolic link");
        }
        made.push(place);
    }

    /** Returns where an entry goes: in a folder that was made for this, under a name that leads nowhere else. */
    private Path place(String name) {
        if (name.isEmpty() == made.isEmpty() && name.indexOf('\0') < 0) {
            if (name.isEmpty()) {
                return target;
            }
            int slash = name.lastIndexOf('/');
            String last = name.substring(slash + 1);
            Path folder = slash < 0 ? target : target.resolve(name.substring(0, slash));
            if (!last.isEmpty() && !last.equals(".") && !last.equals("..") && folders.containsKey(folder)) {
                return folder.resolve(last);
            }
        }
        throw new AgentFault("the agent tells of a file at a place where none can be: '" + printable(name) + "'");
    }

    private static String printable(String name) {
        return name.replaceAll("\\p{Cntrl}", "?");
    }

    /**
     * Returns where a link leads, if that is among what is copied: up through folders that were made for this, which are none but folders, and then down; so
     * the links on the way down lead nowhere else either.
     */
    private static Path harmless(EntryHeader link) {
        long depth = link.name().chars().filter(letter -> letter == '/').count();
        long up = 0;
        boolean down = false;
        boolean harmless = !link.name().isEmpty()
                && !link.target().isEmpty()
                && !link.target().startsWith("/")
                && link.target().indexOf('\0') < 0;
        for (String part : link.target().split("/", -1)) {
            if (part.equals("..")) {
                harmless &= !down && ++up <= depth;
            } else {
                down = true;
            }
        }
        if (!harmless) {
            throw new SandboxException("the guest's link '" + printable(link.name()) + "' leads to '"
                    + printable(link.target()) + "', out of what is copied; leave it out, or copy what it leads to");
        }
        return Path.of(link.target());
    }

    private void write(Frame bytes) throws IOException {
        if (open == null) {
            throw bytes.unexpected();
        }
        ByteBuffer rest = bytes.payload();
        while (rest.hasRemaining()) {
            open.write(rest);
        }
    }

    private void finishFile() throws IOException {
        FileChannel file = open;
        open = null;
        if (file != null) {
            file.close();
            EntryHeader entry = Objects.requireNonNull(current, "an open file has an entry");
            Path place = made.getFirst();
            Files.getFileAttributeView(place, BasicFileAttributeView.class, LinkOption.NOFOLLOW_LINKS)
                    .setTimes(FileTime.from(Instant.ofEpochSecond(secondsOf(entry))), null, null);
            Files.setPosixFilePermissions(place, FileModes.of(entry.mode() & PERMISSIONS));
        }
    }

    /** A time that file systems have. */
    private static long secondsOf(EntryHeader entry) {
        return Math.clamp(entry.seconds(), 0, Integer.MAX_VALUE);
    }

    private void finishFolders() throws IOException {
        for (Path folder : folders.keySet().stream().toList().reversed()) {
            Files.setPosixFilePermissions(
                    folder, FileModes.of(Objects.requireNonNull(folders.get(folder)) & PERMISSIONS));
        }
    }

    private void undo() throws IOException {
        for (Path place : made) {
            Files.deleteIfExists(place);
        }
    }
}
