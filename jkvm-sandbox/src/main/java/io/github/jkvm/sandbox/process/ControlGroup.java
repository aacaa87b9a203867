package io.github.jkvm.sandbox.process;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/**
 * A control group that bounds a process (Linux, Documentation/admin-guide/cgroup-v2.rst), made below this process's group or beside it, wherever this process may.
 */
final class ControlGroup implements AutoCloseable {
    private static final AtomicLong NUMBERS = new AtomicLong();

    private static final long PATIENCE_NANOS = 5_000_000_000L;
    private static final long PAUSE_NANOS = 1_000_000;

    private final Path folder;

    private ControlGroup(Path folder) {
        this.folder = folder;
    }

    /** Makes a group; none if this host has no version 2, or this process may not. */
    static Optional<ControlGroup> create(long mostMemory, long mostThreads) {
        try {
            return create(Path.of("/proc/self"), mostMemory, mostThreads);
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    static Optional<ControlGroup> create(Path self, long mostMemory, long mostThreads) throws IOException {
        Optional<Path> root = mountPoint(Files.readAllLines(self.resolve("mounts")));
        Optional<String> own = Files.readAllLines(self.resolve("cgroup")).stream()
                .filter(line -> line.startsWith("0::/"))
                .map(line -> line.substring("0::/".length()))
                .findFirst();
        if (root.isEmpty() || own.isEmpty()) {
            return Optional.empty();
        }
        Path group = root.get().resolve(own.get());
        // A group with processes in it can't hand out memory to groups below it ("no internal processes"), but one
        // above may.
        return Stream.of(group, group.getParent())
                .filter(parent -> parent.startsWith(root.get()))
                .flatMap(parent -> below(parent, mostMemory, mostThreads).stream())
                .findFirst();
    }

    /** Where version 2 is mounted: the second column of the line whose third is cgroup2 (proc(5), /proc/pid/mounts is fstab's form). */
    private static Optional<Path> mountPoint(List<String> mounts) {
        return mounts.stream()
                .map(line -> line.split(" ", -1))
                .filter(columns -> columns.length > 2 && columns[2].equals("cgroup2"))
                .map(columns -> Path.of(columns[1]))
                .findFirst();
    }

    private static Optional<ControlGroup> below(Path parent, long mostMemory, long mostThreads) {
        Path folder = parent.resolve("jkvm-sandbox-" + ProcessHandle.current().pid() + "-" + NUMBERS.incrementAndGet());
        try {
            Files.createDirectory(folder);
        } catch (IOException e) {
            return Optional.empty();
        }
        var group = new ControlGroup(folder);
        try {
            if (!Files.exists(folder.resolve("memory.max"))) {
                Files.writeString(parent.resolve("cgroup.subtree_control"), "+memory +pids");
            }
            Files.writeString(folder.resolve("memory.max"), Long.toString(mostMemory));
            Files.writeString(folder.resolve("pids.max"), Long.toString(mostThreads));
            return Optional.of(group);
        } catch (IOException e) {
            group.close();
            return Optional.empty();
        }
    }

    /** What to put before a command so that it runs in the group from its first instruction on. */
    List<String> prefix() {
        return List.of(
                "sh",
                "-c",
                "echo 0 >\"$0\" && exec \"$@\"",
                folder.resolve("cgroup.procs").toString());
    }

    /** Tells whether the kernel killed a process of the group for its memory. */
    boolean ranOutOfMemory() {
        try {
            return Files.readAllLines(folder.resolve("memory.events")).stream()
                    .anyMatch(line -> line.startsWith("oom_kill ") && !line.equals("oom_kill 0"));
        } catch (IOException e) {
            return false;
        }
    }

    /** Removes the group, whose processes must be ending. */
    @Override
    public void close() {
        long begun = System.nanoTime();
        while (true) {
            try {
                Files.deleteIfExists(folder);
                return;
            } catch (IOException e) {
                // A process counts as one of the group for a moment after all that others can see of it is gone.
                if (System.nanoTime() - begun > PATIENCE_NANOS) {
                    System.getLogger(ControlGroup.class.getName())
                            .log(System.Logger.Level.WARNING, "the control group " + folder + " can't be removed", e);
                    return;
                }
                LockSupport.parkNanos(PAUSE_NANOS);
            }
        }
    }
}
