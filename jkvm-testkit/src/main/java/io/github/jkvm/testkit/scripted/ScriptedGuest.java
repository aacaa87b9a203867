package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Bytes;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.X86Vm.MsrExitReason;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The processor that a {@link GuestProgram} runs on: each method is an instruction, and returns when the vCPU has done it.
 *
 * <p>What an instruction does is what it does on KVM. A port is served by a doorbell or leaves the guest; a load or store finds memory, a doorbell or
 * leaves the guest; an exit is finished when the vCPU is run again. To be used on the program's own thread: on another, every method is an
 * {@link IllegalStateException}.
 */
public final class ScriptedGuest {
    private static final int MOST_ARGUMENTS = 6;
    private static final long PAGE = 4096;
    // KVM_MSR_EXIT_REASON_UNKNOWN and _FILTER of linux/kvm.h.
    private static final int REASON_UNKNOWN = 2;
    private static final int REASON_FILTER = 8;

    private final ScriptedVCpu vcpu;

    ScriptedGuest(ScriptedVCpu vcpu) {
        this.vcpu = vcpu;
    }

    /**
     * Returns the number of the vCPU, so that one program can do different things on each.
     *
     * @return its id, from 0
     */
    public int vcpuId() {
        return vcpu.id();
    }

    /**
     * Returns the guest's memory, to read and write much of it without an instruction for each number. What is written is recorded by dirty tracking.
     *
     * @return the memory
     */
    public GuestMemory memory() {
        return vcpu.vm().memory();
    }

    /**
     * Writes a number to a port ({@code out}).
     *
     * @param port 0 to 0xffff
     * @param size number of bytes: 1, 2 or 4
     * @param value the number, of which the low bytes are written
     * @throws IllegalArgumentException if the port or size is none of these
     */
    public void portOut(int port, int size, long value) {
        byte[] data = new byte[size == 1 || size == 2 || size == 4 ? size : 0];
        LittleEndian.put(data, 0, data.length, value);
        take(PortStep.out(vcpu, port, size, data));
    }

    /**
     * Writes text to a port, byte by byte ({@code rep outsb}): one exit with all of it, or one call of the handler for each byte.
     *
     * @param port 0 to 0xffff
     * @param text not empty, written in UTF-8
     * @throws IllegalArgumentException if the port is none of these, or the text is empty
     */
    public void portOut(int port, String text) {
        portOut(port, 1, Bytes.copyOf(text.getBytes(StandardCharsets.UTF_8)));
    }

    /**
     * Writes elements to a port ({@code rep outs}).
     *
     * @param port 0 to 0xffff
     * @param size number of bytes of an element: 1, 2 or 4
     * @param data the elements one after another, at least one
     * @throws IllegalArgumentException if the port or size is none of these, or the data is no number of elements
     */
    public void portOut(int port, int size, Bytes data) {
        take(PortStep.out(vcpu, port, size, data.toArray()));
    }

    /**
     * Reads a number from a port ({@code in}). It is in the accumulator then, as on a processor.
     *
     * @param port 0 to 0xffff
     * @param size number of bytes: 1, 2 or 4
     * @return the number, with no bits above {@code size} bytes
     * @throws IllegalArgumentException if the port or size is none of these
     */
    public long portIn(int port, int size) {
        return take(PortStep.in(vcpu, port, size, 1), step -> LittleEndian.get(step.data(), 0, size));
    }

    /**
     * Reads elements from a port ({@code rep ins}).
     *
     * @param port 0 to 0xffff
     * @param size number of bytes of an element: 1, 2 or 4
     * @param count how many, 1 or more
     * @return the elements one after another
     * @throws IllegalArgumentException if the port, size or count is none of these
     */
    public Bytes portIn(int port, int size, int count) {
        return take(PortStep.in(vcpu, port, size, count), step -> Bytes.copyOf(step.data()));
    }

    /**
     * Loads a number: from memory, or where there is none, by MMIO. One that crosses a page is two accesses.
     *
     * @param address guest-physical, unsigned
     * @param size number of bytes, 1 to 8
     * @return the number, little-endian, with no bits above {@code size} bytes
     * @throws IllegalArgumentException if the size is none of these
     */
    public long load(long address, int size) {
        checkSize(size);
        byte[] all = new byte[size];
        for (int done = 0; done < size; ) {
            int part = withinPage(address + done, size - done);
            byte[] loaded = take(MemoryStep.load(vcpu, address + done, part), MemoryStep::data);
            System.arraycopy(loaded, 0, all, done, part);
            done += part;
        }
        return LittleEndian.get(all, 0, size);
    }

    /**
     * Stores a number: to memory, or where there is none that the guest may write, by MMIO. One that crosses a page is two accesses.
     *
     * @param address guest-physical, unsigned
     * @param size number of bytes, 1 to 8
     * @param value the number, little-endian, of which the low bytes are stored
     * @throws IllegalArgumentException if the size is none of these
     */
    public void store(long address, int size, long value) {
        checkSize(size);
        byte[] all = new byte[Long.BYTES];
        LittleEndian.put(all, 0, Long.BYTES, value);
        for (int done = 0; done < size; ) {
            int part = withinPage(address + done, size - done);
            byte[] stored = new byte[part];
            System.arraycopy(all, done, stored, 0, part);
            take(MemoryStep.store(vcpu, address + done, stored));
            done += part;
        }
    }

    private static void checkSize(int size) {
        if (size < 1 || size > Long.BYTES) {
            throw new IllegalArgumentException("access of " + size + " bytes to memory must be of 1 to 8");
        }
    }

    private static int withinPage(long address, int size) {
        return (int) Math.min(size, PAGE - (address & (PAGE - 1)));
    }

    /**
     * Makes a hypercall that leaves the guest. Its result is in RAX then.
     *
     * @param number which one
     * @param arguments up to six; those that are missing are 0
     * @return the result
     * @throws IllegalArgumentException if there are more arguments
     */
    public long hypercall(long number, long... arguments) {
        if (arguments.length > MOST_ARGUMENTS) {
            throw new IllegalArgumentException(
                    "a hypercall with " + arguments.length + " arguments; it has " + MOST_ARGUMENTS + " at most");
        }
        List<Long> all = new ArrayList<>();
        for (int i = 0; i < MOST_ARGUMENTS; i++) {
            all.add(i < arguments.length ? arguments[i] : 0);
        }
        return take(new AskStep(vcpu, new VmExit.Hypercall(number, all, 0)), AskStep::value);
    }

    /**
     * Reads a model-specific register ({@code rdmsr}). It leaves the guest as the VM's filter and MSR exits say.
     *
     * @param index the register
     * @return its value; empty if the access faults
     */
    public OptionalLong readMsr(int index) {
        int reason = leavesFor(index, MsrFilter.Access.READ);
        if (reason < 0) {
            return OptionalLong.empty();
        }
        if (reason == 0) {
            return OptionalLong.of(call(() -> {
                long value = vcpu.cpu().msrs(List.of(index)).getFirst().value();
                vcpu.cpu().putEdxEax(value);
                return value;
            }));
        }
        return take(
                new AskStep(vcpu, new VmExit.ReadMsr(index, reason)),
                step -> step.faulted() ? OptionalLong.empty() : OptionalLong.of(step.value()));
    }

    /**
     * Writes a model-specific register ({@code wrmsr}). It leaves the guest as the VM's filter and MSR exits say.
     *
     * @param index the register
     * @param value the value
     * @return false if the access faults
     */
    public boolean writeMsr(int index, long value) {
        int reason = leavesFor(index, MsrFilter.Access.WRITE);
        if (reason < 0) {
            return false;
        }
        if (reason == 0) {
            act(() -> vcpu.cpu().writeMsr(new Msr(index, value)));
            return true;
        }
        return take(new AskStep(vcpu, new VmExit.WriteMsr(index, reason, value)), step -> !step.faulted());
    }

    /** Returns the reason for which an MSR access leaves the guest, 0 if it does not, -1 if it faults. */
    private int leavesFor(int index, MsrFilter.Access access) {
        PlatformState platform = vcpu.vm().platform();
        if (platform.denies(index, access)) {
            return platform.leaves(MsrExitReason.FILTER) ? REASON_FILTER : -1;
        }
        if (!vcpu.cpu().msrs().has(index)) {
            return platform.leaves(MsrExitReason.UNKNOWN) ? REASON_UNKNOWN : -1;
        }
        return 0;
    }

    /**
     * Halts ({@code hlt}) with interrupts on. With an interrupt controller in the hypervisor the vCPU waits for an interrupt without leaving the
     * guest; it stays the guest's to {@linkplain #takeInterrupt() take}. Without one, the guest leaves with {@link VmExit.Halt}, and goes on when
     * it is run again.
     */
    public void halt() {
        if (!vcpu.vm().hasLocalApics()) {
            exit(new VmExit.Halt());
            return;
        }
        act(vcpu.activity()::halt);
        take(new Step.Wait(vcpu.activity()::wakeUp));
    }

    /**
     * Takes the interrupt that waits the longest.
     *
     * @return the interrupt; empty if none waits
     */
    public Optional<GuestInterrupt> takeInterrupt() {
        return call(() -> Optional.ofNullable(vcpu.activity().take()));
    }

    /**
     * Halts until there is an interrupt, and takes it.
     *
     * @return the interrupt
     */
    public GuestInterrupt waitForInterrupt() {
        while (true) {
            Optional<GuestInterrupt> taken = takeInterrupt();
            if (taken.isPresent()) {
                return taken.get();
            }
            halt();
        }
    }

    /**
     * Tells the interrupt controller that an interrupt is served (EOI). One of a line comes again if the line is still asserted; a resampled one is
     * lowered, and its device told. Others need no end.
     *
     * @param interrupt what was taken
     * @throws IllegalStateException if it is that of a line, and the guest has not taken one
     */
    public void endInterrupt(GuestInterrupt interrupt) {
        if (interrupt instanceof GuestInterrupt.Line line) {
            act(() -> vcpu.vm().inbox().end(line.gsi()));
        }
    }

    /**
     * Starts another vCPU, as INIT and start-up messages do. For VMs with an interrupt controller in the hypervisor, whose other vCPUs wait for it.
     *
     * @param id its number
     * @throws HypervisorException if there is none
     */
    public void startProcessor(int id) {
        act(() -> vcpu.vm().scriptedVCpus().stream()
                .filter(other -> other.id() == id)
                .findAny()
                .orElseThrow(() -> new HypervisorException("the guest starts vCPU " + id + ", which the VM has not"))
                .activity()
                .start());
    }

    /** Runs for ever without leaving the guest. Interrupts and deadlines end the run; the next run is here again. */
    public void spin() {
        take(new Step.Wait(() -> false));
    }

    /** Shuts the processor down, as a triple fault does. */
    public void shutdown() {
        exit(new VmExit.Shutdown());
    }

    /**
     * Leaves the guest for any reason that wants no answer, such as {@link VmExit.SystemEvent}, {@link VmExit.InternalError} or
     * {@link VmExit.Unknown}.
     *
     * @param reason the exit that {@code run} returns
     * @throws IllegalArgumentException if it has a method of its own here, or is none of the guest's
     */
    public void exit(VmExit reason) {
        switch (reason) {
            case VmExit.PortIn ignored -> throw notHere(reason, "portIn()");
            case VmExit.PortOut ignored -> throw notHere(reason, "portOut()");
            case VmExit.MmioRead ignored -> throw notHere(reason, "load()");
            case VmExit.MmioWrite ignored -> throw notHere(reason, "store()");
            case VmExit.Hypercall ignored -> throw notHere(reason, "hypercall()");
            case VmExit.ReadMsr ignored -> throw notHere(reason, "readMsr()");
            case VmExit.WriteMsr ignored -> throw notHere(reason, "writeMsr()");
            case VmExit.Interrupted ignored -> throw notHere(reason, "VCpu.interrupt()");
            case VmExit.DeadlineReached ignored -> throw notHere(reason, "VCpu.run(Duration)");
            default -> take(new Step.Leave(reason));
        }
    }

    private static IllegalArgumentException notHere(VmExit reason, String instead) {
        return new IllegalArgumentException(reason + " is not for exit(); use " + instead);
    }

    /**
     * Reads the general-purpose registers.
     *
     * @return the registers
     */
    public Registers registers() {
        return call(vcpu.cpu()::registers);
    }

    /**
     * Sets the general-purpose registers.
     *
     * @param registers the registers
     */
    public void setRegisters(Registers registers) {
        act(() -> vcpu.cpu().setRegisters(registers));
    }

    /**
     * Reads segments and control registers.
     *
     * @return the registers
     */
    public SpecialRegisters specialRegisters() {
        return call(vcpu.cpu()::special);
    }

    /**
     * Sets segments and control registers.
     *
     * @param registers the registers
     * @throws HypervisorException if they fit no mode of the processor
     */
    public void setSpecialRegisters(SpecialRegisters registers) {
        act(() -> vcpu.cpu().setSpecial(registers));
    }

    private void take(Step step) {
        vcpu.guest().take(step);
    }

    private <S extends Step, T> T take(S step, Function<S, T> result) {
        take(step);
        return result.apply(step);
    }

    private void act(Runnable action) {
        call(() -> {
            action.run();
            return true;
        });
    }

    private <T> T call(Supplier<T> action) {
        var step = new Step.Action<T>(action);
        take(step);
        return step.result();
    }
}
