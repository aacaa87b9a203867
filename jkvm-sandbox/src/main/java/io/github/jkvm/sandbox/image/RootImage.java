package io.github.jkvm.sandbox.image;

import io.github.jkvm.sandbox.ImageConfig;
import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;

/** A file with a file system for guests to mount as their root, read only. Closing it deletes the file if it was made for this. */
public final class RootImage implements AutoCloseable {
    private static final String EROFS = "erofs";

    /** The end of the names of converted images; the number grows when conversion changes. */
    private static final String CACHED = ".1.erofs";

    private enum Lifetime {
        TEMPORARY,
        KEPT
    }

    private final Path file;
    private final String type;
    private final Optional<ImageConfig> config;
    private final Lifetime lifetime;

    private RootImage(Path file, String type, Optional<ImageConfig> config, Lifetime lifetime) {
        this.file = file;
        this.type = type;
        this.config = config;
        this.lifetime = lifetime;
    }

    /**
     * Makes a root ready to be mounted. Folders and container images are converted into a file in {@code java.io.tmpdir}, with their contents and some more;
     * memory is used for names and the like only.
     *
     * @param root where the root comes from
     * @return the image; the caller closes it
     * @throws SandboxException if it cannot be read or is no root; the message names the file and the reason
     */
    public static RootImage open(RootFs root) {
        return switch (root) {
            case RootFs.Folder folder -> read(folder);
            case RootFs.Image image -> recognize(image.file());
            case RootFs.Oci oci -> unpack(oci);
        };
    }

    private static RootImage recognize(Path file) {
        try {
            return new RootImage(file, FileSystemType.of(file), Optional.empty(), Lifetime.KEPT);
        } catch (IOException e) {
            throw failure("image " + file, e);
        }
    }

    private static RootImage read(RootFs.Folder folder) {
        try {
            Budget budget = new Budget(folder.maxEntries(), folder.maxBytes());
            Path file = ImageFile.temporary(writer -> new FolderReader(folder, writer, budget).read());
            return new RootImage(file, EROFS, Optional.empty(), Lifetime.TEMPORARY);
        } catch (IOException e) {
            throw failure("folder " + folder.path(), e);
        }
    }

    private static RootImage unpack(RootFs.Oci oci) {
        try {
            OciLayout layout = new OciLayout(oci.layout());
            OciImage image = OciImage.read(layout, layout.find(oci.reference()));
            Optional<ImageConfig> config = Optional.of(image.config());
            Budget budget = new Budget(oci.maxEntries(), oci.maxBytes());
            if (oci.cache().isEmpty()) {
                Path file = ImageFile.temporary(writer -> image.unpack(writer, budget));
                return new RootImage(file, EROFS, config, Lifetime.TEMPORARY);
            }
            Path cache = oci.cache().get();
            Path file = cache.resolve(image.digest().replace(':', '-') + CACHED);
            if (!ImageFile.isWhole(file)) {
                ImageFile.replace(file, cache, writer -> image.unpack(writer, budget));
            }
            return new RootImage(file, EROFS, config, Lifetime.KEPT);
        } catch (IOException e) {
            throw failure("OCI layout " + oci.layout(), e);
        }
    }

    private static SandboxException failure(String what, IOException cause) {
        String reason = switch (cause) {
            case NoSuchFileException missing -> missing.getFile() + " does not exist";
            case AccessDeniedException denied ->
                denied.getFile() + " may not be read; run as a user who may, or leave it out";
            case FileSystemException other when other.getReason() == null -> other + "";
            default -> String.valueOf(cause.getMessage());
        };
        return new SandboxException("cannot make a root from the " + what + ": " + reason, cause);
    }

    /**
     * Returns the file to give to the guest as a disk. It is a whole number of 512-byte sectors if it was made here.
     *
     * @return its path; good until this is closed
     */
    public Path file() {
        return file;
    }

    /**
     * Returns what the guest's kernel calls the file system.
     *
     * @return {@code ext4}, {@code squashfs} or {@code erofs}
     */
    public String type() {
        return type;
    }

    /**
     * Returns how a container image wants to be run.
     *
     * @return the image's configuration; empty for folders and file system images, which have none
     */
    public Optional<ImageConfig> config() {
        return config;
    }

    /**
     * Deletes the file if it was made for this. Guests that have it open keep it until they end.
     *
     * @throws SandboxException if the file cannot be deleted
     */
    @Override
    public void close() {
        if (lifetime == Lifetime.TEMPORARY) {
            try {
                Files.deleteIfExists(file);
            } catch (IOException e) {
                throw new SandboxException("cannot delete the temporary file " + file + ": " + e.getMessage(), e);
            }
        }
    }
}
