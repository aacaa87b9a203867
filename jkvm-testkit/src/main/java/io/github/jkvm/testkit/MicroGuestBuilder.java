package io.github.jkvm.testkit;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Describes a {@link MicroGuest}. May be used again for another one; belongs to one thread. */
public final class MicroGuestBuilder {
    /** What a guest has unless told otherwise, in bytes: 2 MiB. */
    public static final long DEFAULT_MEMORY = 2 << 20;

    /** How long a run may take unless told otherwise: 10 seconds. */
    public static final Duration DEFAULT_DEADLINE = Duration.ofSeconds(10);

    private static final long PAGE = 4096;
    private static final long LEAST_MEMORY = 0x2_0000;
    private static final long MOST_MEMORY = 3L << 30;

    private long memorySize = DEFAULT_MEMORY;
    private EntryMode mode = EntryMode.LONG64;
    private Duration deadline = DEFAULT_DEADLINE;
    private Consumer<X86Vm> preparation = vm -> {};
    private @Nullable Hypervisor hypervisor;

    MicroGuestBuilder() {}

    /**
     * Sets how much memory it has.
     *
     * @param bytes the size: a multiple of 4096, from 128 KiB to 3 GiB
     * @return this
     * @throws IllegalArgumentException if it is none of these
     */
    public MicroGuestBuilder memory(long bytes) {
        if (bytes < LEAST_MEMORY || bytes > MOST_MEMORY || bytes % PAGE != 0) {
            throw new IllegalArgumentException("a micro-guest can't have " + bytes
                    + " bytes of memory; give a multiple of " + PAGE + " from " + LEAST_MEMORY + " to " + MOST_MEMORY);
        }
        memorySize = bytes;
        return this;
    }

    /**
     * Sets the mode in which code without a header is entered.
     *
     * @param entryMode the mode
     * @return this
     */
    public MicroGuestBuilder mode(EntryMode entryMode) {
        mode = Objects.requireNonNull(entryMode, "mode");
        return this;
    }

    /**
     * Sets how long {@link MicroGuest#run()} lets it run.
     *
     * @param limit more than zero
     * @return this
     * @throws IllegalArgumentException if it is not
     */
    public MicroGuestBuilder deadline(Duration limit) {
        if (limit.isNegative() || limit.isZero()) {
            throw new IllegalArgumentException("the deadline " + limit + " lets nothing run; give more than zero");
        }
        deadline = limit;
        return this;
    }

    /**
     * Sets what is done to the VM before it has memory and a processor: interrupt controllers are made then, and dirty rings.
     *
     * <p>{@snippet lang = java :
     * MicroGuest.builder().prepare(X86Vm::createIrqChip).build();
     * }
     *
     * @param vmSetup called once for each guest, with its new VM
     * @return this
     */
    public MicroGuestBuilder prepare(Consumer<X86Vm> vmSetup) {
        preparation = Objects.requireNonNull(vmSetup, "preparation");
        return this;
    }

    /**
     * Sets what runs it.
     *
     * @param x86 a hypervisor for x86, such as a {@link io.github.jkvm.testkit.scripted.ScriptedHypervisor}; stays the caller's to close. Without
     *     one, all guests of the JVM share one that is opened when first needed.
     * @return this
     */
    public MicroGuestBuilder hypervisor(Hypervisor x86) {
        hypervisor = Objects.requireNonNull(x86, "hypervisor");
        return this;
    }

    /**
     * Makes the guest, with nothing loaded.
     *
     * @return the guest, to be closed by the caller
     * @throws io.github.jkvm.HypervisorException if the host has no hypervisor or refuses
     */
    public MicroGuest build() {
        return new MicroGuest(this);
    }

    /**
     * Makes the guest, with code loaded.
     *
     * <p>{@snippet lang = java :
     * try (var guest = MicroGuest.builder().build(code -> code.mov(EAX, 42).hlt())) {
     *     assertThat(guest).halts();
     * }
     * }
     *
     * @param program writes the code, as for {@link MicroGuest#load(Consumer)}
     * @return the guest, to be closed by the caller
     * @throws IllegalArgumentException if the program can't be assembled or does not fit
     * @throws io.github.jkvm.HypervisorException if the host has no hypervisor or refuses
     */
    public MicroGuest build(Consumer<Assembler> program) {
        MicroGuest guest = build();
        try {
            guest.load(program);
        } catch (Throwable t) {
            guest.close();
            throw t;
        }
        return guest;
    }

    long memorySize() {
        return memorySize;
    }

    EntryMode mode() {
        return mode;
    }

    Duration deadline() {
        return deadline;
    }

    void prepareVm(X86Vm vm) {
        preparation.accept(vm);
    }

    Hypervisor hypervisor() {
        Hypervisor given = hypervisor;
        return given == null ? SharedHypervisor.hypervisor() : given;
    }

    /** The host's processor as guests may see it. */
    List<CpuidEntry> cpuid() {
        Hypervisor given = hypervisor;
        return given == null
                ? SharedHypervisor.cpuid()
                : X86Hypervisor.of(given).supportedCpuid();
    }
}
