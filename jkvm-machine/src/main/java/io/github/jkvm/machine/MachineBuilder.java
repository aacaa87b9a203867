package io.github.jkvm.machine;

import io.github.jkvm.Capability;
import io.github.jkvm.Device;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.machine.acpi.Aml;
import io.github.jkvm.machine.boot.BootParameters;
import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.boot.KernelImage;
import io.github.jkvm.machine.boot.MemoryMap;
import io.github.jkvm.machine.snapshot.GuestContents;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Says what a {@link Machine} is made of: see {@link Machine#builder}. For one thread, and for one machine, since the devices given to it
 * become the machine's.
 */
public final class MachineBuilder {
    /** Memory of a machine if nothing else is said: 256 MiB. */
    public static final long DEFAULT_MEMORY = 256L << 20;

    private static final long PAGE = 4096;

    private final Hypervisor hypervisor;
    private final Set<PcDevice> pcDevices = EnumSet.allOf(PcDevice.class);
    private final List<Device> devices = new ArrayList<>();
    private final List<Aml> descriptions = new ArrayList<>();
    private final List<BootParameters.Module> modules = new ArrayList<>();
    private Board board = Board.PC;
    private String name = "vm";
    private long memory = DEFAULT_MEMORY;
    private boolean sharedMemory;
    private int vcpus = 1;
    private CommandLine commandLine = CommandLine.empty();
    private Clock clock = Clock.systemUTC();
    private @Nullable KernelImage kernel;
    private @Nullable MemorySegment initrd;
    private @Nullable OutputStream consoleOutput;
    private @Nullable Duration deadline;
    private @Nullable MachineSnapshot origin;
    private boolean built;

    MachineBuilder(Hypervisor hypervisor) {
        this.hypervisor = Objects.requireNonNull(hypervisor, "hypervisor");
    }

    /**
     * Sets the kind of computer; {@link Board#PC} if not set.
     *
     * @param value the board
     * @return this
     */
    public MachineBuilder board(Board value) {
        board = Objects.requireNonNull(value, "board");
        return this;
    }

    /**
     * Sets the name that the machine's threads begin with; {@code vm} if not set.
     *
     * @param value the name
     * @return this
     */
    public MachineBuilder name(String value) {
        name = Objects.requireNonNull(value, "name");
        return this;
    }

    /**
     * Sets the size of the guest's memory; {@link #DEFAULT_MEMORY} if not set. On {@link Board#PC} what does not fit below the hole for
     * devices at 3 GiB goes above 4 GiB.
     *
     * @param bytes the size in bytes, a multiple of 4096; from 2 MiB on {@link Board#PC}, from 4096 to 3 GiB on {@link Board#MICRO}
     * @return this
     */
    public MachineBuilder memory(long bytes) {
        memory = bytes;
        return this;
    }

    /**
     * Makes the guest's memory of files without a name (memfd), which other processes can be handed: what a device needs whose work is done by
     * another process.
     *
     * @return this
     */
    public MachineBuilder sharedMemory() {
        sharedMemory = true;
        return this;
    }

    /**
     * Sets the number of vCPUs; 1 if not set.
     *
     * @param count the number, from 1 to what {@link Hypervisor#maxVCpus()} allows
     * @return this
     */
    public MachineBuilder vcpus(int count) {
        vcpus = count;
        return this;
    }

    /**
     * Sets the kernel. Its kind decides how it is entered: {@link KernelImage#read} finds out what a file is, and the classes that implement
     * {@link KernelImage} make one of a chosen kind.
     *
     * @param image the kernel
     * @return this
     */
    public MachineBuilder kernel(KernelImage image) {
        kernel = Objects.requireNonNull(image, "kernel");
        return this;
    }

    /**
     * Sets the guest's first file system.
     *
     * @param bytes its contents, not copied before the machine is built
     * @return this
     */
    public MachineBuilder initrd(MemorySegment bytes) {
        initrd = Objects.requireNonNull(bytes, "initrd");
        return this;
    }

    /**
     * Sets the guest's first file system to the contents of a file, which is mapped and must not shrink before the machine is built.
     *
     * @param file the file
     * @return this
     * @throws IOException if it can't be read
     */
    public MachineBuilder initrd(Path file) throws IOException {
        try (var channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return initrd(channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), Arena.ofAuto()));
        }
    }

    /**
     * Adds a file that is handed to a multiboot or PVH kernel, after those added before. A {@code bzImage} and a flat image take none.
     *
     * @param module the file with its name or arguments
     * @return this
     */
    public MachineBuilder module(BootParameters.Module module) {
        modules.add(Objects.requireNonNull(module, "module"));
        return this;
    }

    /**
     * Sets the kernel's command line; empty if not set.
     *
     * @param line the command line
     * @return this
     */
    public MachineBuilder commandLine(CommandLine line) {
        commandLine = Objects.requireNonNull(line, "commandLine");
        return this;
    }

    /**
     * Sets where the guest's serial output goes, instead of being kept for {@link Console#output()}. Each byte is written and flushed on the
     * vCPU's thread: a stream that blocks holds the guest back.
     *
     * @param stream the stream; stays the caller's to close
     * @return this
     */
    public MachineBuilder consoleOutput(OutputStream stream) {
        consoleOutput = Objects.requireNonNull(stream, "consoleOutput");
        return this;
    }

    /**
     * Sets what the guest's battery-backed clock shows; the host's time if not set.
     *
     * @param value the clock
     * @return this
     */
    public MachineBuilder clock(Clock value) {
        clock = Objects.requireNonNull(value, "clock");
        return this;
    }

    /**
     * Sets how long the machine may run, from {@link Machine#start()}, pauses included: then it ends with
     * {@link MachineExit.Reason#DEADLINE}. Without, there is no limit.
     *
     * @param limit the time, above zero
     * @return this
     * @throws IllegalArgumentException if it is not above zero
     */
    public MachineBuilder deadline(Duration limit) {
        if (!limit.isPositive()) {
            throw new IllegalArgumentException("deadline " + limit + " must be above zero");
        }
        deadline = limit;
        return this;
    }

    /**
     * Leaves a device out of {@link Board#PC}.
     *
     * @param device the device
     * @return this
     */
    public MachineBuilder without(PcDevice device) {
        pcDevices.remove(device);
        return this;
    }

    /**
     * Adds a device, which the machine closes in the end.
     *
     * @param device the device, not attached yet
     * @param description what describes it to the guest on {@link Board#PC}: terms for the ACPI scope {@code \_SB}; none for a device that
     *     the guest finds by other means
     * @return this
     */
    public MachineBuilder device(Device device, Aml... description) {
        devices.add(Objects.requireNonNull(device, "device"));
        descriptions.addAll(List.of(description));
        return this;
    }

    /**
     * Makes the machine, which is then ready to start. If that fails, the devices that were attached by then are closed.
     *
     * @return the machine, to be closed by the caller
     * @throws IllegalStateException if there is no kernel, or this builder has built a machine already
     * @throws IllegalArgumentException if a value is out of range, a device wants what another has, or something does not fit the memory
     * @throws UnsupportedCapabilityException if the host lacks what the board needs
     * @throws io.github.jkvm.HypervisorException if the host refuses something, or the kernel is not one that can be loaded
     */
    public Machine build() {
        check();
        built = true;
        return Machine.assemble(this);
    }

    private void check() {
        if (built) {
            throw new IllegalStateException("this builder has built its machine; make a new one for the next");
        }
        if (kernel == null && origin == null) {
            throw new IllegalStateException("no kernel: give the builder one with kernel(KernelImage.read(path))");
        }
        int most = hypervisor.maxVCpus();
        if (vcpus < 1 || vcpus > most) {
            throw new IllegalArgumentException(vcpus + " vCPUs: the number must be from 1 to " + most);
        }
        if (board == Board.MICRO && (memory < PAGE || memory % PAGE != 0 || memory > MemoryMap.HOLE_START)) {
            throw new IllegalArgumentException("memory of " + memory
                    + " bytes for the board MICRO must be a multiple of 4096, from 4096 to " + MemoryMap.HOLE_START);
        }
        if (board == Board.PC) {
            // Checks the size.
            MemoryMap.ramOf(memory);
        }
        for (Capability capability : BoardAssembly.needs(board)) {
            if (!hypervisor.supports(capability)) {
                throw new UnsupportedCapabilityException(
                        capability, "the board " + board + " needs it; the board MICRO runs without");
            }
        }
    }

    /** Lets go of what is in the guest's memory by now, and may be large. */
    void forgetBootFiles() {
        kernel = null;
        initrd = null;
        modules.clear();
    }

    /** Has the machine go on where a snapshot was taken, instead of entering a kernel. */
    MachineBuilder from(MachineSnapshot snapshot) {
        origin = snapshot;
        return this;
    }

    @Nullable
    MachineSnapshot origin() {
        return origin;
    }

    Hypervisor hypervisor() {
        return hypervisor;
    }

    Board board() {
        return board;
    }

    String name() {
        return name;
    }

    long memory() {
        return memory;
    }

    MemoryBacking backing(GuestRange range) {
        if (origin != null) {
            return origin.contents().backing(hypervisor, GuestContents.offsetOf(ram(), range), range.size());
        }
        return sharedMemory
                ? MemoryBacking.memfd(range.size(), "jkvm memory at " + range.address())
                : MemoryBacking.anonymous(range.size());
    }

    List<GuestRange> ram() {
        return board == Board.PC ? MemoryMap.ramOf(memory) : List.of(new GuestRange(0, memory));
    }

    int vcpus() {
        return vcpus;
    }

    KernelImage kernel() {
        return Objects.requireNonNull(kernel, "kernel");
    }

    Optional<MemorySegment> initrd() {
        return Optional.ofNullable(initrd);
    }

    List<BootParameters.Module> modules() {
        return modules;
    }

    CommandLine commandLine() {
        return commandLine;
    }

    @Nullable
    OutputStream consoleOutput() {
        return consoleOutput;
    }

    Clock clock() {
        return clock;
    }

    @Nullable
    Duration deadline() {
        return deadline;
    }

    boolean has(PcDevice device) {
        return pcDevices.contains(device);
    }

    List<Device> devices() {
        return devices;
    }

    List<Aml> descriptions() {
        return descriptions;
    }
}
