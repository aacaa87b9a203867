package io.github.jkvm.testkit;

import io.github.jkvm.Device;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.VmBus;
import io.github.jkvm.VmExit;
import io.github.jkvm.machine.boot.BootParameters;
import io.github.jkvm.machine.boot.ElfImage;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.boot.KernelImage;
import io.github.jkvm.machine.boot.LoadedKernel;
import io.github.jkvm.machine.boot.MemoryMap;
import io.github.jkvm.machine.device.DebugExit;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.GuestCode;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.testkit.internal.Durations;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A VM of one processor and a little memory, for a program of a few instructions or pages. It has what such a program needs to tell how it went:
 *
 * <table>
 * <caption>What is where</caption>
 * <tr><th>place</th><th>what</th></tr>
 * <tr><td>memory from 0</td><td>RAM; in 32- and 64-bit mode the descriptor table is at 0x1000, in 64-bit mode the page tables are behind it, up to
 *     0x8000, and map the first 4 GiB one to one</td></tr>
 * <tr><td>{@link #CODE_16}, {@link #CODE}</td><td>where {@link #load(byte[])} puts code; the stack grows down from there</td></tr>
 * <tr><td>port 0xe9</td><td>takes text ({@link Port#DEBUG})</td></tr>
 * <tr><td>ports 0x3f8 to 0x3ff</td><td>a serial port that only sends ({@link Port#SERIAL})</td></tr>
 * <tr><td>port {@link #REPORT_PORT}</td><td>stops the guest for the test to look, with the number written</td></tr>
 * <tr><td>port {@link #EXIT_PORT}</td><td>ends the guest with the status written</td></tr>
 * </table>
 *
 * <p>{@snippet lang = java :
 * try (var guest = MicroGuest.builder().build()) {
 *     guest.load(code -> code.mov(AL, 'A').out(0xE9, AL).hlt());
 *     GuestStop stop = guest.run();
 *     assert stop instanceof GuestStop.Halted && guest.text(Port.DEBUG).equals("A");
 * }
 * }
 *
 * <p>A port without a device reads as all ones and swallows writes, as on a PC. An address without memory or device stops the guest. There
 * is no interrupt controller unless {@link MicroGuestBuilder#prepare} makes one, so a halt ends a run; with one a halted guest waits.
 *
 * <p>One thread at a time uses it. {@link #close()} may be called by any.
 */
public final class MicroGuest implements AutoCloseable {
    /** A write here ends the guest; the value, of 1, 2 or 4 bytes, is its status. */
    public static final int EXIT_PORT = DebugExit.PORT;

    /**
     * A write here stops the guest until it is run again; the value, of 1, 2 or 4 bytes, is what it reports. This is where the firmware of a PC writes how far
     * it has come.
     */
    public static final int REPORT_PORT = 0x80;

    /** Where 16-bit code goes; all segments begin at 0. */
    public static final long CODE_16 = 0x8000;

    /** Where 32- and 64-bit code goes. */
    public static final long CODE = 0x1_0000;

    private final X86Vm vm;
    private final MemoryRegion ram;
    private final X86VCpu vcpu;
    private final long memorySize;
    private final EntryMode mode;
    private final Duration deadline;
    private final ExitLog exits = new ExitLog();
    private final GuestPorts ports;
    private @Nullable VmBus bus;
    private final List<Device> devices = new ArrayList<>();
    private @Nullable LoadedKernel loaded;
    private @Nullable GuestCode code;
    private boolean hasRun;
    private @Nullable GuestStop lastStop;

    MicroGuest(MicroGuestBuilder builder) {
        memorySize = builder.memorySize();
        mode = builder.mode();
        deadline = builder.deadline();
        vm = X86Vm.of(builder.hypervisor().createVm());
        try {
            builder.prepareVm(vm);
            ram = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(memorySize));
            vcpu = vm.createVCpu(0);
            vcpu.setCpuid(builder.cpuid());
        } catch (Throwable t) {
            vm.close();
            throw t;
        }
        ports = new GuestPorts(exits, vcpu);
    }

    /**
     * Begins to describe a guest: 2 MiB of memory, 64-bit mode, 10 seconds for each run.
     *
     * @return a builder
     */
    public static MicroGuestBuilder builder() {
        return new MicroGuestBuilder();
    }

    /**
     * Assembles code for the guest's {@linkplain MicroGuestBuilder#mode mode} and loads it.
     *
     * <p>{@snippet lang = java :
     * guest.load(code -> code.mov(EAX, 42).hlt());
     * }
     *
     * @param program writes the code
     * @return the code, which knows where its labels are
     * @throws IllegalArgumentException if the program can't be assembled or does not fit
     * @throws IllegalStateException if the guest is closed
     */
    public GuestCode load(Consumer<Assembler> program) {
        Assembler assembler = new Assembler(
                switch (mode) {
                    case REAL16 -> Mode.BITS16;
                    case PROTECTED32 -> Mode.BITS32;
                    case LONG64 -> Mode.BITS64;
                },
                codeAddress());
        program.accept(assembler);
        GuestCode assembled = assembler.assemble();
        load(assembled.bytes());
        code = assembled;
        return assembled;
    }

    /**
     * Puts code at {@link #codeAddress()}, and the processor at its first byte.
     *
     * @param bytes machine code for the guest's {@linkplain MicroGuestBuilder#mode mode}, not empty
     * @throws IllegalArgumentException if it is empty or does not fit
     * @throws IllegalStateException if the guest is closed
     */
    public void load(byte[] bytes) {
        load(FlatImage.of(bytes, GuestAddress.of(codeAddress()), mode));
    }

    /**
     * Puts an ELF program where its header says, and the processor at its entry, in the mode that the file is for.
     *
     * @param file the ELF file
     * @throws io.github.jkvm.machine.boot.BadKernelException if it is malformed, or has no room
     * @throws IllegalStateException if the guest is closed
     */
    public void loadElf(byte[] file) {
        load(ElfImage.of(file));
    }

    /**
     * Loads any image that needs neither a command line nor an initrd, and sets the processor to enter it. What the test has written to memory
     * stays, unless the guest has run: then it begins with memory that is all zero.
     *
     * @param image the image
     * @throws io.github.jkvm.machine.boot.BadKernelException if it has no room
     * @throws IllegalArgumentException if it has no room
     * @throws IllegalStateException if the guest is closed
     */
    public void load(KernelImage image) {
        if (hasRun && ram.discard(0, memorySize) < memorySize) {
            vm.memory().fill(0, memorySize, (byte) 0);
        }
        hasRun = false;
        lastStop = null;
        code = null;
        MemoryMap map = MemoryMap.empty().with(GuestRange.between(0, memorySize), MemoryMap.Kind.RAM);
        LoadedKernel kernel =
                image.load(vm.memory(), BootParameters.builder(map).build());
        vcpu.setSpecialRegisters(kernel.specialRegisters(vcpu.specialRegisters()));
        vcpu.setRegisters(kernel.registers());
        loaded = kernel;
    }

    /**
     * Returns where {@link #load(byte[])} puts code.
     *
     * @return {@link #CODE_16} or {@link #CODE}
     */
    public long codeAddress() {
        return mode == EntryMode.REAL16 ? CODE_16 : CODE;
    }

    /**
     * Returns the mode code is entered in.
     *
     * @return the mode
     */
    public EntryMode mode() {
        return mode;
    }

    /**
     * Returns how long {@link #run()} lets it run.
     *
     * @return the time
     */
    public Duration deadline() {
        return deadline;
    }

    /**
     * Runs the guest until it stops by itself.
     *
     * @return why it stopped; never {@link GuestStop.RanOutOfTime}
     * @throws AssertionError if it still runs after {@link #deadline()}, with all that helps to see what it does
     * @throws IllegalStateException if nothing is loaded, or the guest is closed
     */
    public GuestStop run() {
        GuestStop stop = run(deadline);
        if (stop instanceof GuestStop.RanOutOfTime) {
            throw new AssertionError(GuestReport.of(this, "the guest still runs after " + Durations.text(deadline)));
        }
        return stop;
    }

    /**
     * Runs the guest until it stops by itself, for a time at most.
     *
     * @param limit the longest time
     * @return why it stopped
     * @throws IllegalStateException if nothing is loaded, or the guest is closed
     */
    public GuestStop run(Duration limit) {
        if (loaded == null) {
            throw new IllegalStateException("the guest has nothing to run; load a program first");
        }
        ports.begin();
        hasRun = true;
        VmExit exit = vcpu.run(ports, limit);
        GuestStop stop = stopOf(exit, limit);
        lastStop = stop;
        return stop;
    }

    /**
     * Runs the guest until it has printed a text, or stops, for a time at most. A text that was printed before does not count.
     *
     * @param port where it is printed
     * @param text the text, in UTF-8, up to 256 KiB
     * @param limit the longest time
     * @return why it stopped, {@link GuestStop.Printed} if it printed the text
     * @throws IllegalStateException if nothing is loaded, or the guest is closed
     */
    public GuestStop runUntilPrinted(Port port, String text, Duration limit) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length == 0 || bytes.length > GuestText.KEPT) {
            throw new IllegalArgumentException(
                    "a text of " + bytes.length + " bytes can't be waited for; give 1 to " + GuestText.KEPT);
        }
        ports.await(port, bytes);
        try {
            return run(limit);
        } finally {
            ports.awaitNothing();
        }
    }

    private GuestStop stopOf(VmExit exit, Duration limit) {
        GuestStop asked = ports.stop();
        ExitKind kind = switch (exit) {
            case VmExit.Halt() -> ExitKind.HALT;
            case VmExit.Shutdown() -> ExitKind.SHUTDOWN;
            case VmExit.Interrupted(), VmExit.DeadlineReached() -> ExitKind.INTERRUPTED;
            default -> ExitKind.OTHER;
        };
        if (asked == null || kind != ExitKind.INTERRUPTED) {
            exits.add(kind);
        }
        if (asked != null) {
            return asked;
        }
        return switch (exit) {
            case VmExit.Halt() -> new GuestStop.Halted();
            case VmExit.Shutdown() -> new GuestStop.TripleFaulted();
            case VmExit.DeadlineReached() -> new GuestStop.RanOutOfTime(limit);
            case VmExit.Interrupted() -> new GuestStop.Interrupted();
            default -> new GuestStop.Other(exit);
        };
    }

    /**
     * Returns the code that was assembled for it.
     *
     * @return the code, or null if something else is loaded
     */
    @Nullable
    GuestCode code() {
        return code;
    }

    /**
     * Returns why it stopped last.
     *
     * @return the reason, or null if it has not run since a program was loaded
     */
    public @Nullable GuestStop lastStop() {
        return lastStop;
    }

    /**
     * Returns what it printed.
     *
     * @param port where
     * @return the text as UTF-8 since the guest was made; of more than 512 KiB the first and last 256 KiB, with a note between
     */
    public String text(Port port) {
        return ports.text(port).text();
    }

    /**
     * Returns how many bytes it printed.
     *
     * @param port where
     * @return the number since the guest was made
     */
    public long printed(Port port) {
        return ports.text(port).length();
    }

    /**
     * Returns what it stopped for so far.
     *
     * @return the log, which goes on
     */
    public ExitLog exits() {
        return exits;
    }

    /**
     * Returns its memory.
     *
     * @return the memory, from address 0
     */
    public GuestMemory memory() {
        return vm.memory();
    }

    /**
     * Returns the processor's general registers. Not while it runs.
     *
     * @return the registers
     */
    public Registers registers() {
        return vcpu.registers();
    }

    /**
     * Gives the guest a device. Its ports and addresses are served from then on; {@link #close()} closes it.
     *
     * @param device a device of jkvm's, or the test's own
     * @throws IllegalArgumentException if another one has its place
     */
    public void attach(Device device) {
        device.attach(bus());
        devices.add(Objects.requireNonNull(device, "device"));
    }

    /**
     * Returns the bus that devices are on.
     *
     * @return the bus
     */
    public VmBus bus() {
        VmBus now = bus;
        if (now == null) {
            now = new VmBus(vm, vm.createEventLoop(null));
            bus = now;
            ports.forwardTo(now);
        }
        return now;
    }

    /**
     * Returns the VM, for what this class does not offer.
     *
     * @return the VM
     */
    public X86Vm vm() {
        return vm;
    }

    /**
     * Returns the processor, for what this class does not offer.
     *
     * @return the vCPU
     */
    public X86VCpu vcpu() {
        return vcpu;
    }

    /**
     * Describes the guest as it is: registers, the code it is at, what it printed, its last exits. For a failure message.
     *
     * @return several lines
     */
    public String report() {
        return GuestReport.of(this, "the guest");
    }

    /** Ends the guest and its devices, and gives everything back. Closing twice does nothing. */
    @Override
    public void close() {
        vm.close();
        devices.forEach(Device::close);
        devices.clear();
    }
}
