package io.github.jkvm.sandbox.function;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.VmExit;
import io.github.jkvm.machine.state.CpuState;
import io.github.jkvm.machine.state.CpuStates;
import io.github.jkvm.machine.state.Pages;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;

/**
 * A guest in a virtual machine of this process: memory, processors, and nothing else. Its memory is a private copy of an image, of which the host gives
 * only those pages that are written; to restore it, these are dropped.
 */
public final class KvmGuest implements FunctionGuest {
    /** Name of the memory's image, which the host shows. */
    private static final String IMAGE_NAME = "jkvm-sandbox";

    /** CPUID leaf 0x80000001: bit 20 of EDX is the right to keep data from being run (AMD APM volume 3, E.4.2). */
    private static final int EXTENDED_FEATURES = 0x8000_0001;

    private static final int NO_EXECUTE_BIT = 20;

    /** Exceptions by their vectors (Intel SDM volume 3, 7.3.1). */
    private static final String[] EXCEPTIONS = {
        "divided by zero",
        "debugged itself",
        "",
        "ran into a breakpoint",
        "overflowed",
        "left a bound",
        "ran an instruction that does not exist",
        "used a unit that is not there",
        "had a double fault",
        "",
        "had a bad task state",
        "used a segment that is not there",
        "used its stack wrongly",
        "did what only a kernel may",
        "touched memory that it may not",
        "",
        "made an error of floating point",
        "used an address that is not aligned",
        "met a broken machine",
        "made an error of floating point"
    };

    private static final int PAGE_FAULT = 14;
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private final X86Hypervisor hypervisor;
    private final MemoryPlan plan;
    private final GuestTables tables;
    private final GuestProgram program;
    private final X86Vm vm;
    private final List<X86VCpu> vcpus = new ArrayList<>();
    private final CpuStates states;
    private final List<CpuidEntry> cpuid;
    private MemoryRegion region;
    private List<CpuState> clean;

    /**
     * Places a program in a new virtual machine. None of it runs yet.
     *
     * @param host where it runs
     * @param elf the program
     * @param sizes how large it is
     * @throws IllegalArgumentException if the program is none, or does not fit
     * @throws HypervisorException if the host refuses
     */
    public KvmGuest(Hypervisor host, byte[] elf, GuestSizes sizes) {
        this.hypervisor = X86Hypervisor.of(host);
        this.program = new GuestProgram(elf, sizes);
        this.plan = program.plan();
        this.cpuid = hypervisor.supportedCpuid();
        this.states = new CpuStates(hypervisor, false);
        X86Vm created = null;
        try (MemoryImage contents = host.createMemoryImage(sizes.memory(), IMAGE_NAME)) {
            this.tables = new GuestTables(plan, contents.segment(), canKeepDataFromRunning());
            write(contents.segment());
            created = X86Vm.of(host.createVm());
            this.vm = created;
            this.region =
                    vm.addMemory(GuestAddress.of(GuestImage.BASE), MemoryBacking.copyOf(contents, 0, sizes.memory()));
            for (int i = 0; i < sizes.processors(); i++) {
                vcpus.add(createProcessor(i, program.image().entry()));
            }
            this.clean = capture();
        } catch (RuntimeException | Error failure) {
            if (created != null) {
                created.close();
            }
            throw failure;
        }
    }

    private boolean canKeepDataFromRunning() {
        return cpuid.stream()
                .anyMatch(entry -> entry.function() == EXTENDED_FEATURES && (entry.edx() >>> NO_EXECUTE_BIT & 1) != 0);
    }

    private void write(MemorySegment contents) {
        program.writeTo(contents);
        tables.write(program.image());
        for (int i = 0; i < plan.processors(); i++) {
            program.preparePage(i, contents.asSlice(plan.page(i) - GuestImage.BASE, plan.messageBytes()));
        }
    }

    private X86VCpu createProcessor(int index, long entry) {
        X86VCpu vcpu = vm.createVCpu(index);
        vcpu.setCpuid(cpuid);
        vcpu.setSpecialRegisters(tables.specialRegisters(index, vcpu.specialRegisters()));
        vcpu.setRegisters(tables.registers(index, entry));
        return vcpu;
    }

    private List<CpuState> capture() {
        return vcpus.stream().map(vcpu -> states.capture(vcpu, cpuid, false)).toList();
    }

    @Override
    public GuestInterface functions() {
        return program.functions();
    }

    @Override
    public MemorySegment page(int processor) {
        return region.segment().asSlice(plan.page(processor) - GuestImage.BASE, plan.messageBytes());
    }

    @Override
    public long pageAddress(int processor) {
        return plan.page(processor);
    }

    @Override
    public long heap(int processor) {
        return plan.heap(processor);
    }

    @Override
    public Stop run(int processor) {
        X86VCpu vcpu = vcpus.get(processor);
        VmExit exit = vcpu.run();
        return switch (exit) {
            case VmExit.PortOut out
            when out.port() == GuestTables.DOORBELL && out.size() == 1 && out.count() == 1 -> Stop.RANG;
            case VmExit.Interrupted _ -> Stop.INTERRUPTED;
            default -> throw new CrashException(describe(vcpu, exit));
        };
    }

    private String describe(X86VCpu vcpu, VmExit exit) {
        return switch (exit) {
            case VmExit.PortOut out -> "wrote port 0x" + Integer.toHexString(out.port()) + ", and guests have no ports";
            case VmExit.PortIn in -> "read port 0x" + Integer.toHexString(in.port()) + ", and guests have no ports";
            case VmExit.MmioWrite write -> "wrote " + write.address() + ", where there is no memory";
            case VmExit.MmioRead read -> "read " + read.address() + ", where there is no memory";
            case VmExit.Shutdown _ ->
                "had an exception (" + place(vcpu.registers().rip())
                        + "): it touched memory that it may not, or ran an instruction that"
                        + " does not exist or that only a kernel may run";
            case VmExit.Halt _ -> exception(vcpu);
            default -> "ended in " + exit;
        };
    }

    private static String place(long rip) {
        return "rip 0x" + Long.toHexString(rip);
    }

    private String exception(X86VCpu vcpu) {
        long rip = vcpu.registers().rip();
        int vector = tables.vector(rip);
        if (vector < 0) {
            return "halted (" + place(rip) + ")";
        }
        String what = vector < EXCEPTIONS.length && !EXCEPTIONS[vector].isEmpty()
                ? EXCEPTIONS[vector]
                : "had exception " + vector;
        if (vector == PAGE_FAULT) {
            what += ", at 0x" + Long.toHexString(vcpu.specialRegisters().cr2());
        }
        // The processor pushed where it was: behind an error code, if there is one, of which the stack's address tells.
        long frame = vcpu.registers().rsp() - GuestImage.BASE;
        long errorBytes = (frame & 0xF) == 0 ? Long.BYTES : 0;
        return what + " (" + place(region.segment().get(ValueLayout.JAVA_LONG_UNALIGNED, frame + errorBytes)) + ")";
    }

    /** {@inheritDoc} Here the calling thread runs the processor, and its time counts. */
    @Override
    public long workedNanos(Thread caller) {
        if (caller.isVirtual()) {
            throw new IllegalStateException(
                    "a call with a limit of processor time must come from a platform thread: the time of virtual threads is not measured");
        }
        return caller == Thread.currentThread()
                ? THREADS.getCurrentThreadCpuTime()
                : THREADS.getThreadCpuTime(caller.threadId());
    }

    @Override
    public void interrupt(int processor) {
        vcpus.get(processor).interrupt();
    }

    @Override
    public void restore() {
        long dropped = region.discard(0, region.size());
        if (dropped != region.size()) {
            throw new HypervisorException("the host kept " + (region.size() - dropped)
                    + " bytes of the guest's memory (madvise); close the sandbox and build another");
        }
        for (int i = 0; i < vcpus.size(); i++) {
            states.reset(vcpus.get(i), clean.get(i));
        }
    }

    @Override
    public void checkpoint() {
        List<CpuState> now = capture();
        try (MemoryImage contents = hypervisor.createMemoryImage(region.size(), IMAGE_NAME)) {
            Pages.copyNonzero(region.segment(), contents.segment(), 0, region.size());
            vm.removeMemory(region);
            region = vm.addMemory(GuestAddress.of(GuestImage.BASE), MemoryBacking.copyOf(contents, 0, contents.size()));
        }
        clean = now;
    }

    @Override
    public void close() {
        vm.close();
    }
}
