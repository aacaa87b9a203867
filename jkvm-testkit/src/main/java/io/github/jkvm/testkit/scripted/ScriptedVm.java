package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Capability;
import io.github.jkvm.DirtyPages;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.IrqChipState;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.PitState;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A VM of a {@link ScriptedHypervisor}, with what a test asks of it beside the API. Safe for use by many threads. */
public final class ScriptedVm implements X86Vm {
    private static final int MOST_IOAPIC_PINS = 1024;
    private static final int TASK_STATE_PAGES = 3;

    private final ScriptedHypervisor hypervisor;
    private final int number;
    private final ScriptedMemory memory;
    private final InterruptInbox inbox = new InterruptInbox(this::wakeAll);
    private final ScriptedInterrupts interrupts = new ScriptedInterrupts(this, inbox);
    private final ScriptedDoorbells doorbells = new ScriptedDoorbells(this);
    private final OpenChildren<ScriptedEventLoop> loops = new OpenChildren<>();
    private final PlatformState platform = new PlatformState();
    private final VCpuSet vcpus = new VCpuSet(this::takeDown);
    private volatile int bootCpu;

    /**
     * Creates a VM.
     *
     * @param hypervisor what made it
     * @param number its number in this JVM, for messages
     */
    ScriptedVm(ScriptedHypervisor hypervisor, int number) {
        this.hypervisor = hypervisor;
        this.number = number;
        this.memory = new ScriptedMemory(hypervisor.regionLimit());
    }

    /**
     * Returns the scripted view of a VM.
     *
     * @param vm the VM
     * @return the same object
     * @throws UnsupportedOperationException if it is of another hypervisor
     */
    public static ScriptedVm of(Vm vm) {
        if (vm instanceof ScriptedVm scripted) {
            return scripted;
        }
        throw new UnsupportedOperationException(vm.hypervisor().description() + " is not a scripted hypervisor");
    }

    /**
     * Returns the interrupts that reached the VM, taken by the guest or not, in the order of their coming. Signals that merged into one that was
     * waiting are one; what has no route or message is not among them.
     *
     * @return an immutable list of the latest 10,000; also to be asked once the VM is closed
     */
    public List<GuestInterrupt> recordedInterrupts() {
        return inbox.recorded();
    }

    /**
     * Tells whether a line of the interrupt controller is asserted.
     *
     * @param gsi its number
     * @return true if it was raised and not lowered
     */
    public boolean isAsserted(int gsi) {
        return inbox.isAsserted(gsi);
    }

    @Override
    public ScriptedHypervisor hypervisor() {
        return hypervisor;
    }

    @Override
    public boolean supports(Capability capability) {
        vcpus.checkOpen();
        return hypervisor.capabilities().contains(capability);
    }

    /**
     * Checks for a capability.
     *
     * @param what names what needs it, and what can be done without
     * @throws UnsupportedCapabilityException if the hypervisor does not claim it
     */
    void require(Capability capability, String what) {
        if (!hypervisor.capabilities().contains(capability)) {
            throw new UnsupportedCapabilityException(
                    capability, hypervisor.description() + " has no " + capability + ", needed for " + what);
        }
    }

    @Override
    public GuestMemory memory() {
        return memory.memory();
    }

    @Override
    public MemoryRegion addMemory(GuestAddress base, MemoryBacking backing, MemoryRegion.Access access) {
        if (access == MemoryRegion.Access.READ_ONLY) {
            require(Capability.READONLY_MEMORY, "memory that a guest can only read; add it as READ_WRITE");
        }
        return memory.add(base, backing, access);
    }

    @Override
    public void removeMemory(MemoryRegion region) {
        memory.remove(region);
    }

    @Override
    public void startDirtyTracking(MemoryRegion region) {
        memory.startDirtyTracking(region);
    }

    @Override
    public void stopDirtyTracking(MemoryRegion region) {
        memory.stopDirtyTracking(region);
    }

    @Override
    public DirtyPages takeDirtyPages(MemoryRegion region) {
        return memory.takeDirtyPages(region);
    }

    @Override
    public X86VCpu createVCpu(int id) {
        return vcpus.add(id, hypervisor.vcpuLimit(), made -> new ScriptedVCpu(this, made, hypervisor.programOf(made)));
    }

    @Override
    public List<VCpu> vcpus() {
        return vcpus.list();
    }

    @Override
    public InterruptLine interruptLine(int gsi) {
        return interrupts.line(gsi);
    }

    @Override
    public Interrupt interrupt(int gsi) {
        return interrupts.interrupt(gsi);
    }

    @Override
    public Interrupt resampledInterrupt(int gsi, EventLoop loop, Runnable onEnd) {
        return interrupts.resampled(gsi, loop, onEnd);
    }

    @Override
    public MessageInterrupt messageInterrupt() {
        return interrupts.message();
    }

    @Override
    public void setInterruptRoutes(List<InterruptRoute> routes) {
        interrupts.setRoutes(routes);
    }

    @Override
    public Delivery sendMessage(long address, int data) {
        return interrupts.send(address, data);
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match) {
        return doorbells.place(match);
    }

    @Override
    public EventLoop createEventLoop(@Nullable String name) {
        String thread = name == null ? this + " events" : name;
        return loops.add(() -> ScriptedEventLoop.start(thread, loops::remove));
    }

    @Override
    public void setTssAddress(GuestAddress address) {
        vcpus.checkOpen();
        PlatformState.checkPlace("task state pages", address, TASK_STATE_PAGES);
    }

    @Override
    public void setIdentityMapAddress(GuestAddress address) {
        PlatformState.checkPlace("identity map page", address, 1);
        requireNoVCpu("setIdentityMapAddress");
    }

    @Override
    public void setBootCpuId(int id) {
        if (id < 0) {
            throw new IllegalArgumentException("vCPU id " + id + " must be 0 or more");
        }
        require(Capability.SET_BOOT_CPU_ID, "setBootCpuId; vCPU 0 starts");
        requireNoVCpu("setBootCpuId");
        bootCpu = id;
    }

    @Override
    public void createIrqChip() {
        require(Capability.IRQCHIP, "createIrqChip");
        requireNoController("createIrqChip");
        platform.createIrqChip();
        interrupts.created(ScriptedInterrupts.Controllers.ALL);
    }

    @Override
    public void enableSplitIrqChip(int ioapicPins) {
        if (ioapicPins < 0 || ioapicPins > MOST_IOAPIC_PINS) {
            throw new IllegalArgumentException(
                    "an IOAPIC with " + ioapicPins + " pins: it must have 0 to " + MOST_IOAPIC_PINS);
        }
        require(Capability.SPLIT_IRQCHIP, "enableSplitIrqChip; createIrqChip may be there");
        requireNoController("enableSplitIrqChip");
        interrupts.created(ScriptedInterrupts.Controllers.SPLIT);
    }

    private void requireNoController(String what) {
        requireNoVCpu(what);
        if (interrupts.controllers() != ScriptedInterrupts.Controllers.NONE) {
            throw new HypervisorException(what + "(): there is a controller already");
        }
    }

    private void requireNoVCpu(String what) {
        vcpus.checkOpen();
        if (vcpus.isUsed()) {
            throw new HypervisorException(what + "(): there are vCPUs already; call " + what + " before createVCpu");
        }
    }

    @Override
    public void createPit() {
        require(Capability.PIT2, "createPit");
        vcpus.checkOpen();
        platform.createPit();
    }

    @Override
    public IrqChipState irqChip() {
        vcpus.checkOpen();
        return platform.irqChip();
    }

    @Override
    public void setIrqChip(IrqChipState state) {
        vcpus.checkOpen();
        platform.setIrqChip(state);
    }

    @Override
    public PitState pit() {
        vcpus.checkOpen();
        return platform.pit();
    }

    @Override
    public void setPit(PitState state) {
        vcpus.checkOpen();
        platform.setPit(state);
    }

    @Override
    public ClockState clock() {
        vcpus.checkOpen();
        return platform.clock();
    }

    @Override
    public void setClock(ClockState state) {
        vcpus.checkOpen();
        platform.setClock(state);
    }

    @Override
    public void setMsrExits(Set<MsrExitReason> reasons) {
        require(Capability.X86_USER_SPACE_MSR, "setMsrExits; such accesses fault in the guest");
        vcpus.checkOpen();
        platform.setMsrExits(reasons);
    }

    @Override
    public void setMsrFilter(MsrFilter filter) {
        require(Capability.X86_MSR_FILTER, "setMsrFilter");
        vcpus.checkOpen();
        platform.setMsrFilter(filter);
    }

    ScriptedDoorbells doorbells() {
        return doorbells;
    }

    InterruptInbox inbox() {
        return inbox;
    }

    PlatformState platform() {
        return platform;
    }

    /** Whether each vCPU has a local APIC in the hypervisor: then a halted one waits there, and one starts the others. */
    boolean hasLocalApics() {
        return interrupts.controllers() != ScriptedInterrupts.Controllers.NONE;
    }

    /** Whether all interrupt controllers are in the hypervisor. */
    boolean hasIoapic() {
        return interrupts.controllers() == ScriptedInterrupts.Controllers.ALL;
    }

    CpuState.Role roleOf(int id) {
        return id == bootCpu ? CpuState.Role.BOOT : CpuState.Role.SECONDARY;
    }

    List<ScriptedVCpu> scriptedVCpus() {
        return vcpus.scripted();
    }

    boolean isRunByCurrentThread() {
        return vcpus.isRunByCurrentThread();
    }

    void vcpuClosed(ScriptedVCpu vcpu) {
        vcpus.closed(vcpu);
    }

    private void wakeAll() {
        vcpus.scripted().forEach(ScriptedVCpu::wake);
    }

    @Override
    public void close() {
        if (vcpus.isRunByCurrentThread() || loops.list().stream().anyMatch(ScriptedEventLoop::inLoop)) {
            // Whom this thread would wait for may wait for it.
            vcpus.closeWithoutWaiting();
        } else {
            vcpus.close();
        }
    }

    private void takeDown() {
        try {
            // First what calls devices, then what devices call.
            loops.close().forEach(ScriptedEventLoop::close);
            doorbells.close();
            interrupts.close();
            memory.close();
        } finally {
            hypervisor.vmClosed(this);
        }
    }

    /** Returns its number. */
    @Override
    public String toString() {
        return "scripted VM " + number;
    }
}
