package io.github.jkvm.machine;

import io.github.jkvm.Device;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.VmBus;
import io.github.jkvm.machine.MachineExit.Reason;
import io.github.jkvm.machine.boot.LoadedKernel;
import io.github.jkvm.machine.device.AcpiPm;
import io.github.jkvm.machine.device.GuestRequest;
import io.github.jkvm.machine.snapshot.Layer;
import io.github.jkvm.machine.snapshot.MemoryRecord;
import io.github.jkvm.machine.state.CpuState;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A whole computer: processors, memory, devices and a kernel, run on threads of its own.
 *
 * <p>{@snippet lang = java :
 * try (var hypervisor = Hypervisor.open();
 *         var machine = Machine.builder(hypervisor)
 *                 .memory(512L << 20)
 *                 .kernel(KernelImage.read(Path.of("/boot/vmlinuz")))
 *                 .initrd(Path.of("/boot/initrd.img"))
 *                 .commandLine(CommandLine.empty().add("console", "ttyS0"))
 *                 .consoleOutput(System.out)
 *                 .build()) {
 *     machine.start();
 *     MachineExit exit = machine.awaitExit(Duration.ofMinutes(1));
 * }
 * }
 *
 * <p>Every method may be called from any thread, also from a device's code on a vCPU's thread. The first thing that ends the run is its
 * {@link #exit()}. Afterwards memory, registers and console stay readable until {@link #close()}.
 */
public final class Machine implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Machine.class.getName());

    /** How long closing waits for a vCPU's thread before it interrupts it: it may be writing to a stream that blocks. */
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    private final String name;
    private final MachineBuilder options;
    private final RunState state;
    private final Object snapshotting = new Object();
    private final BuiltBoard board;
    private final MemoryRecord memory;
    private final @Nullable Duration deadline;
    private final List<Thread> threads = new ArrayList<>();
    private final CompletableFuture<Void> alarm = new CompletableFuture<>();
    private final CompletableFuture<Void> closed = new CompletableFuture<>();
    private final CpuClock cpuClock = new CpuClock();
    private boolean started;
    private boolean closing;

    private Machine(MachineBuilder options, RunState state, BuiltBoard board) {
        this.name = options.name();
        this.deadline = options.deadline();
        this.state = state;
        this.board = board;
        this.options = options;
        options.forgetBootFiles();
        board.vcpus().forEach(state::add);
        MachineSnapshot origin = options.origin();
        this.memory = new MemoryRecord(
                board.vm(),
                options.ram(),
                origin == null ? null : origin.contents().layer());
        if (origin != null) {
            List<CpuState> cpus = origin.machine().cpus();
            board.vcpus().stream()
                    .map(X86VCpu::id)
                    .filter(id -> cpus.get(id).halted())
                    .forEach(state::noteHalted);
        }
    }

    /**
     * Begins to describe a machine.
     *
     * @param hypervisor runs it; must stay open as long as the machine
     * @return a builder
     */
    public static MachineBuilder builder(Hypervisor hypervisor) {
        return new MachineBuilder(hypervisor);
    }

    /**
     * Begins to describe what a machine that goes on from a snapshot is connected to.
     *
     * @param hypervisor runs it; must stay open as long as the machine
     * @param snapshot where it goes on; may be restored any number of times, and be closed once the machine is built
     * @return a builder
     */
    public static RestoreBuilder restore(Hypervisor hypervisor, MachineSnapshot snapshot) {
        return new RestoreBuilder(hypervisor, snapshot);
    }

    static Machine assemble(MachineBuilder options) {
        var state = new RunState();
        return new Machine(options, state, BoardAssembly.assemble(options, request -> state.end(exitFor(request))));
    }

    private static MachineExit exitFor(GuestRequest request) {
        return switch (request) {
            case GuestRequest.PowerOff off -> MachineExit.of(Reason.POWER_OFF, off.via());
            case GuestRequest.Reset reset -> MachineExit.of(Reason.RESET, reset.via());
            case GuestRequest.Panic panic -> MachineExit.of(Reason.PANIC, panic.via());
            case GuestRequest.Exit exit -> MachineExit.withCode(exit.code(), exit.via());
        };
    }

    /**
     * Starts the vCPUs. Starting a machine that was started does nothing.
     *
     * @throws IllegalStateException if the machine was stopped or closed before it was started
     */
    public synchronized void start() {
        if (started) {
            return;
        }
        if (closing || state.exit() != null) {
            throw new IllegalStateException(
                    "machine " + name + " was stopped before it was started; build another one");
        }
        started = true;
        List<X86VCpu> running = board.vcpus().stream()
                .filter(vcpu -> !state.hasHalted(vcpu.id()))
                .toList();
        state.expect(running.size());
        for (X86VCpu vcpu : running) {
            var runner = new VCpuRunner(vcpu, board.bus(), state, board.output()::end);
            threads.add(Thread.ofPlatform()
                    .name(name + "-vcpu" + vcpu.id())
                    .daemon()
                    .unstarted(runner));
        }
        if (deadline != null) {
            var ignored = alarm.completeOnTimeout(null, TimeUnit.NANOSECONDS.convert(deadline), TimeUnit.NANOSECONDS)
                    .thenRun(() -> state.end(MachineExit.of(Reason.DEADLINE, "ran for " + deadline)));
        }
        threads.forEach(cpuClock::add);
        threads.forEach(Thread::start);
    }

    /**
     * Waits until the run has ended and the vCPUs have left the guest.
     *
     * @return how it ended
     * @throws InterruptedException if the calling thread is interrupted; the machine runs on
     * @throws IllegalStateException if the machine was not started
     */
    public MachineExit awaitExit() throws InterruptedException {
        checkStarted();
        return Objects.requireNonNull(state.awaitExit(null));
    }

    /**
     * Waits until the run has ended and the vCPUs have left the guest. A machine that still runs after the time given is stopped, and its
     * exit is {@link Reason#DEADLINE}.
     *
     * @param limit how long it may go on from now; zero or negative stops it at once
     * @return how it ended
     * @throws InterruptedException if the calling thread is interrupted; the machine runs on
     * @throws IllegalStateException if the machine was not started
     */
    public MachineExit awaitExit(Duration limit) throws InterruptedException {
        checkStarted();
        MachineExit exit = state.awaitExit(limit);
        if (exit == null) {
            state.end(MachineExit.of(Reason.DEADLINE, "still ran after " + limit));
            exit = state.awaitExit(null);
        }
        return Objects.requireNonNull(exit);
    }

    private synchronized void checkStarted() {
        if (!started && state.exit() == null) {
            throw new IllegalStateException("machine " + name + " was not started; call start() first");
        }
    }

    /**
     * Returns how the run ended.
     *
     * @return the exit, or nothing as long as it has not ended
     */
    public Optional<MachineExit> exit() {
        return Optional.ofNullable(state.exit());
    }

    /**
     * Holds all vCPUs and returns when none is in the guest or in a device, and so waits for a {@link MachineBuilder#consoleOutput} that
     * blocks. A guest with KVM's clock is told, so that its watchdogs stay quiet. Called from a device's code on a vCPU's thread, it only asks: that vCPU stops
     * after the code has returned. A machine not yet started will start paused. Pausing again, or after the end, does nothing.
     */
    public void pause() {
        state.pause();
    }

    /** Lets paused vCPUs go on. Does nothing to a machine that is not paused. */
    public void resume() {
        state.resume();
    }

    /**
     * Tells whether the machine is paused.
     *
     * @return true between {@link #pause()} and {@link #resume()} or the end
     */
    public boolean isPaused() {
        return state.isPaused();
    }

    /**
     * Takes a snapshot. The guest stands still meanwhile, also for its own clock but for the paravirtual one of a machine restored from it, and then goes on
     * as it was: running, paused, or not yet started. Takes as long as it takes to copy the memory that the guest has used; see
     * {@link #snapshot(MachineSnapshot)} for one that takes less.
     *
     * @return the snapshot, to be closed by the caller
     * @throws IllegalStateException if the machine has ended or is closed, a device can't be saved now, or this is a thread of
     *     a vCPU or of the devices; the machine goes on
     * @throws io.github.jkvm.HypervisorException if the host has no room for the copy; the machine goes on
     */
    public MachineSnapshot snapshot() {
        return take(null);
    }

    /**
     * Takes an increment: a snapshot that keeps only the memory that is not as in an earlier one, its base, and is otherwise like {@link #snapshot()}. It
     * is restored like any other, and others may build on it in turn, as many as wanted.
     *
     * <p>Every snapshot of a machine with as much memory can be the base. It takes as long as it takes to copy what was written since if the base is the
     * snapshot that this machine was restored from, or the one that was last taken of it, where from the first increment on KVM records what is written
     * (the guest then runs a little slower, as its first write to each page after an increment is caught), or one that either of these builds on. Else the
     * memory that the guest has used is compared with the base's; and always so with {@link MachineBuilder#sharedMemory()}, which others may write.
     * A program that takes the dirty pages of the machine's {@link #vm()} itself makes increments wrong.
     *
     * @param base the snapshot, in memory or opened; may be closed once this returns
     * @return the snapshot, to be closed by the caller
     * @throws IllegalArgumentException if the base is of another board, or has memory of another size
     * @throws IllegalStateException if the base is closed, and as {@link #snapshot()} throws it; the machine goes on
     * @throws io.github.jkvm.HypervisorException if the host has no room for the copy, or can't record what is written; the machine goes on
     */
    public MachineSnapshot snapshot(MachineSnapshot base) {
        if (base.board() != options.board() || base.memory() != options.memory()) {
            throw new IllegalArgumentException("the base is of a board " + base.board() + " with " + base.memory()
                    + " bytes of memory, and this machine's is " + options.board() + " with " + options.memory()
                    + "; take a whole snapshot as the base");
        }
        return base.whileOpen(() -> take(base.contents().layer()));
    }

    private MachineSnapshot take(@Nullable Layer base) {
        if (board.loop().inLoop()) {
            throw new IllegalStateException(
                    "a device's code on the devices' thread can't take a snapshot, as a vCPU may wait for it; let another"
                            + " thread do it");
        }
        synchronized (snapshotting) {
            synchronized (this) {
                if (closing) {
                    throw new IllegalStateException("machine " + name + " is closed; take the snapshot before");
                }
            }
            state.hold();
            try {
                return Capture.of(options, board, state, memory, base);
            } finally {
                state.release();
            }
        }
    }

    /** Ends the run with {@link Reason#STOPPED}, without waiting. Does nothing if it has ended. */
    public void stop() {
        state.end(MachineExit.of(Reason.STOPPED, "by the host"));
    }

    /**
     * Returns for how long the threads of the vCPUs have worked, in the guest and for it: what the guest has cost of the host's processors but for its devices'
     * threads. Once the run has ended, this is what it was when last asked before.
     *
     * @return the time of all vCPUs together, since {@link #start()}
     */
    public Duration cpuTime() {
        return cpuClock.read();
    }

    /**
     * Presses the power button, on which a guest that listens shuts down in good order.
     *
     * @throws UnsupportedOperationException if the board has none
     */
    public void pressPowerButton() {
        AcpiPm power = board.power();
        if (power == null) {
            throw new UnsupportedOperationException("the board MICRO has no power button; use stop()");
        }
        power.pressPowerButton();
    }

    /**
     * Returns the serial console.
     *
     * @return the console
     * @throws UnsupportedOperationException if the machine was built without a serial port
     */
    public Console console() {
        Console console = board.console();
        if (console == null) {
            throw new UnsupportedOperationException("machine " + name + " was built without a serial port");
        }
        return console;
    }

    /**
     * Returns the guest's memory.
     *
     * @return the memory
     */
    public GuestMemory memory() {
        return board.vm().memory();
    }

    /**
     * Returns where the kernel was put and how it is entered.
     *
     * @return the kernel
     * @throws UnsupportedOperationException if the machine was restored from a snapshot, and so enters none
     */
    public LoadedKernel kernel() {
        LoadedKernel kernel = board.kernel();
        if (kernel == null) {
            throw new UnsupportedOperationException(
                    "machine " + name + " goes on from a snapshot; ask the machine that was built with a kernel");
        }
        return kernel;
    }

    /**
     * Returns the VM below, for all that this class does not do.
     *
     * @return the VM, owned by this machine
     */
    public X86Vm vm() {
        return board.vm();
    }

    /**
     * Returns the vCPUs. Their registers can be read while they don't run: when the machine is paused or has ended. A snapshot has their answers to
     * {@code cpuid} as the board has set them.
     *
     * @return an immutable list, in order of their ids
     */
    public List<X86VCpu> vcpus() {
        return List.copyOf(board.vcpus());
    }

    /**
     * Returns what connects the vCPUs to the devices, to add and remove devices while the guest runs.
     *
     * @return the bus
     */
    public VmBus bus() {
        return board.bus();
    }

    /**
     * Stops the machine if it runs, waits for its threads, and gives back all that it holds. Called from one of its own threads, it leaves the
     * waiting to another thread. Closing twice does nothing.
     */
    @Override
    public void close() {
        stop();
        boolean first;
        boolean own;
        synchronized (this) {
            first = !closing;
            closing = true;
            own = threads.contains(Thread.currentThread()) || board.loop().inLoop();
        }
        if (first && own) {
            Thread.ofPlatform().name(name + "-closer").daemon().start(this::finishClosing);
        } else if (first) {
            finishClosing();
        } else if (!own) {
            closed.join();
        }
    }

    /** Has something done once this machine is closed, on the thread that closes it; at once if it is closed already. */
    void whenClosed(Runnable action) {
        var ignored = closed.thenRun(action);
    }

    private void finishClosing() {
        try {
            alarm.cancel(false);
            threads.forEach(Machine::joinUninterruptibly);
            // After a snapshot that is being taken.
            synchronized (snapshotting) {
                for (Device device : board.devices().reversed()) {
                    closeQuietly(device);
                }
            }
            // Last: devices may still use memory, interrupts and doorbells while they are closed.
            board.vm().close();
            board.output().end();
        } finally {
            closed.complete(null);
        }
    }

    private static void closeQuietly(Device device) {
        try {
            device.close();
        } catch (RuntimeException e) {
            LOG.log(Level.WARNING, "device " + device.name() + " fails to close; the machine closes on", e);
        }
    }

    private static void joinUninterruptibly(Thread thread) {
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                if (!thread.join(PATIENCE)) {
                    LOG.log(Level.WARNING, thread.getName() + " does not leave a device; interrupting it");
                    thread.interrupt();
                }
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
