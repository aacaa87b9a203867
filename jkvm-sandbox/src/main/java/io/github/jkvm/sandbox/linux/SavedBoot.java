package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** A folder with the snapshot of a guest that has booted, and the root that it needs. Shared; the last who closes it deletes it. */
final class SavedBoot implements AutoCloseable {
    private final BootSettings settings;
    private final MachinePlan plan;
    private final Path folder;

    /** Guarded by this. */
    private int shares = 1;

    /** Makes the folder, with nothing in it yet. */
    SavedBoot(BootSettings settings) {
        this.settings = settings;
        this.plan = MachinePlan.of(settings);
        try {
            // What is in the guest's memory is no one else's business: the folder is for its owner alone.
            folder = Files.createTempDirectory("jkvm-sandbox");
        } catch (IOException e) {
            throw new SandboxException("no folder for the snapshot of a sandbox can be made: " + e.getMessage(), e);
        }
    }

    BootSettings settings() {
        return settings;
    }

    MachinePlan plan() {
        return plan;
    }

    Path folder() {
        return folder;
    }

    /**
     * Counts one more that has to close this.
     *
     * @throws IllegalStateException if all have closed it
     */
    synchronized SavedBoot share() {
        if (shares == 0) {
            throw new IllegalStateException("this clean state is closed");
        }
        shares++;
        return this;
    }

    /** Deletes the folder. */
    void delete() {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException | UncheckedIOException e) {
            throw new SandboxException("the folder " + folder + " can't be deleted: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            shares--;
            if (shares != 0) {
                return;
            }
        }
        try {
            delete();
        } finally {
            settings.root().close();
        }
    }
}
