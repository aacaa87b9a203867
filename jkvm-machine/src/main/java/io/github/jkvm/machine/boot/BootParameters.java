package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a board hands to a kernel besides its image. Immutable; the bytes of initrd and modules are not copied and must not change until
 * the kernel is loaded.
 *
 * <p>{@snippet lang = java :
 * BootParameters parameters = BootParameters.builder(MemoryMap.pc(512L << 20))
 *         .commandLine(CommandLine.empty().add("console", "ttyS0"))
 *         .build();
 * }
 */
public final class BootParameters {
    private final MemoryMap memoryMap;
    private final CommandLine commandLine;
    private final @Nullable MemorySegment initrd;
    private final @Nullable GuestAddress rsdp;
    private final List<Module> modules;

    /**
     * A file handed to a multiboot or PVH kernel.
     *
     * @param bytes its contents, not copied; not empty
     * @param commandLine its name or arguments
     */
    public record Module(MemorySegment bytes, CommandLine commandLine) {
        /**
         * Checks the module.
         *
         * @throws IllegalArgumentException if it is empty
         */
        public Module {
            Objects.requireNonNull(commandLine, "commandLine");
            bytes = checkFile("module", bytes);
        }
    }

    private BootParameters(Builder builder) {
        memoryMap = builder.memoryMap;
        commandLine = builder.commandLine;
        initrd = builder.initrd;
        rsdp = builder.rsdp;
        modules = List.copyOf(builder.modules);
    }

    /**
     * Starts with a memory map, an empty command line and nothing else.
     *
     * @param memoryMap what the guest is told about its memory; loaders put things only where it says RAM
     * @return a builder
     */
    public static Builder builder(MemoryMap memoryMap) {
        return new Builder(memoryMap);
    }

    private static MemorySegment checkFile(String what, MemorySegment bytes) {
        if (bytes.byteSize() == 0) {
            throw new IllegalArgumentException("the " + what + " has no bytes; leave it out or give its contents");
        }
        return bytes.asReadOnly();
    }

    /** Refuses what an image without a boot protocol can't be handed. */
    void checkNothingToPass(String image) {
        if (initrd != null || !modules.isEmpty() || !commandLine.equals(CommandLine.empty())) {
            throw new IllegalArgumentException(
                    image + " has no way to learn of a command line, an initrd or modules; leave them out");
        }
    }

    /**
     * Returns what the guest is told about its memory.
     *
     * @return the map
     */
    public MemoryMap memoryMap() {
        return memoryMap;
    }

    /**
     * Returns the command line.
     *
     * @return the command line, maybe empty
     */
    public CommandLine commandLine() {
        return commandLine;
    }

    /**
     * Returns the first file system of the guest.
     *
     * @return its bytes, read-only
     */
    public Optional<MemorySegment> initrd() {
        return Optional.ofNullable(initrd);
    }

    /**
     * Returns where the root of the ACPI tables (RSDP) lies.
     *
     * @return its address, if there is one
     */
    public Optional<GuestAddress> rsdp() {
        return Optional.ofNullable(rsdp);
    }

    /**
     * Returns further files for the kernel, in order.
     *
     * @return an immutable list
     */
    public List<Module> modules() {
        return modules;
    }

    /** Collects {@link BootParameters}. For one thread. */
    public static final class Builder {
        private final MemoryMap memoryMap;
        private CommandLine commandLine = CommandLine.empty();
        private @Nullable MemorySegment initrd;
        private @Nullable GuestAddress rsdp;
        private final List<Module> modules = new ArrayList<>();

        private Builder(MemoryMap memoryMap) {
            this.memoryMap = Objects.requireNonNull(memoryMap, "memoryMap");
        }

        /**
         * Sets the command line.
         *
         * @param value the command line
         * @return this
         */
        public Builder commandLine(CommandLine value) {
            commandLine = Objects.requireNonNull(value, "commandLine");
            return this;
        }

        /**
         * Sets the guest's first file system.
         *
         * @param bytes its contents, such as a mapped file; not copied
         * @return this
         * @throws IllegalArgumentException if it is empty
         */
        public Builder initrd(MemorySegment bytes) {
            initrd = checkFile("initrd", bytes);
            return this;
        }

        /**
         * Sets where the root of the ACPI tables (RSDP) lies; without it the kernel searches the firmware area.
         *
         * @param address its address
         * @return this
         */
        public Builder rsdp(GuestAddress address) {
            rsdp = Objects.requireNonNull(address, "rsdp");
            return this;
        }

        /**
         * Adds a file for a multiboot or PVH kernel; a bzImage takes none.
         *
         * @param module the file
         * @return this
         */
        public Builder module(Module module) {
            modules.add(Objects.requireNonNull(module, "module"));
            return this;
        }

        /**
         * Returns what was collected.
         *
         * @return the parameters
         */
        public BootParameters build() {
            return new BootParameters(this);
        }
    }
}
