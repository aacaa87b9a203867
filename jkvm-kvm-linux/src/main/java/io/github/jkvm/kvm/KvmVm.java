package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.DirtyPages;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostFile;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** A virtual machine of KVM, with what only KVM has. */
public class KvmVm implements Vm {
    private static final AtomicInteger NUMBERS = new AtomicInteger();

    private final int number = NUMBERS.incrementAndGet();
    private final KvmHypervisor hypervisor;
    private final OwnedFd vm;
    private final MemorySlots memory;
    private final VmInterrupts interrupts;
    private final VmDoorbells doorbells;
    private final VmDirtyRings dirtyRings;
    private final CoalescedMmioRing coalescedWrites;
    private final OpenChildren<GuestMemfd> guestMemfds = new OpenChildren<>();
    private final OpenChildren<KvmDevice> devices = new OpenChildren<>();
    private final OpenChildren<EpollEventLoop> loops = new OpenChildren<>();
    private final VCpus vcpus = new VCpus(this::takeDown);

    KvmVm(KvmHypervisor hypervisor, OwnedFd vm) {
        this.hypervisor = hypervisor;
        this.vm = vm;
        this.memory = new MemorySlots(vm, hypervisor.maxMemoryRegions(), hypervisor.pageSize());
        this.interrupts = new VmInterrupts(vm);
        this.doorbells = new VmDoorbells(vm);
        this.dirtyRings = new VmDirtyRings(vm, memory::region);
        this.coalescedWrites = new CoalescedMmioRing(vm, vcpus::any);
    }

    /**
     * Returns KVM's view of a VM.
     *
     * @param vm the VM
     * @return the same object
     * @throws UnsupportedOperationException if it is of another hypervisor
     */
    public static KvmVm of(Vm vm) {
        if (vm instanceof KvmVm kvm) {
            return kvm;
        }
        throw new UnsupportedOperationException(vm.hypervisor().description() + " is not KVM");
    }

    @Override
    public KvmHypervisor hypervisor() {
        return hypervisor;
    }

    @Override
    public boolean supports(Capability capability) {
        return HostCapabilities.has(vm, capability);
    }

    /**
     * Asks for a capability by KVM's number ({@code KVM_CHECK_EXTENSION}), also for one this library does not know.
     *
     * @param number {@code KVM_CAP_*}
     * @return 0 if this VM lacks it; else 1, or a number whose meaning depends on the capability
     * @throws IllegalStateException if this VM is closed
     */
    public int checkExtension(int number) {
        return HostCapabilities.ask(vm, number);
    }

    /**
     * Switches a capability of this VM on by KVM's number ({@code KVM_ENABLE_CAP}), for those this library has no method for.
     *
     * @param number {@code KVM_CAP_*}
     * @param arguments up to four numbers, whose meaning depends on the capability
     * @throws IllegalArgumentException if there are more
     * @throws IllegalStateException if this VM is closed
     * @throws KvmException if the host refuses
     */
    public void enableCapability(int number, long... arguments) {
        VmCapability.enable(vm, number, arguments);
    }

    @Override
    public GuestMemory memory() {
        return memory.memory();
    }

    @Override
    public MemoryRegion addMemory(GuestAddress base, MemoryBacking backing, MemoryRegion.Access access) {
        if (access == MemoryRegion.Access.READ_ONLY && !supports(Capability.READONLY_MEMORY)) {
            throw new UnsupportedCapabilityException(
                    Capability.READONLY_MEMORY,
                    "this host's KVM has no memory that a guest can only read; add it as READ_WRITE");
        }
        return memory.add(base, backing, access, null);
    }

    /**
     * Creates memory that belongs to the guest alone.
     *
     * @param size size in bytes, a multiple of the page size
     * @return the memory, closed with this VM
     * @throws IllegalStateException if this VM is closed
     * @throws UnsupportedCapabilityException if the host lacks {@link Capability#GUEST_MEMFD}
     * @throws KvmException if the host refuses
     */
    public GuestMemfd createGuestMemfd(long size) {
        return guestMemfds.add(() -> GuestMemfd.create(vm, size, guestMemfds::remove));
    }

    /**
     * Adds memory that has two sets of pages ({@code KVM_SET_USER_MEMORY_REGION2}): those of {@code shared}, which this process sees, and private ones,
     * which the guest uses where {@link #setMemoryAttributes} makes the memory private. Its dirty pages can't be tracked.
     *
     * @param base guest-physical address of its first byte, a multiple of the page size
     * @param shared where the shared pages come from
     * @param guestOnly where the private pages come from
     * @param offset where in {@code guestOnly} the region begins, in bytes, a multiple of the page size
     * @return the region, whose accessors see the shared pages
     * @throws IllegalArgumentException if the place, size or offset is not a multiple of the page size, the region overlaps other memory,
     *     or it passes the end of {@code guestOnly}
     * @throws IllegalStateException if this VM or {@code guestOnly} is closed
     * @throws KvmException if the host refuses
     */
    public MemoryRegion addMemory(GuestAddress base, MemoryBacking shared, GuestMemfd guestOnly, long offset) {
        long pageSize = hypervisor.pageSize();
        if (offset < 0 || offset % pageSize != 0 || offset > guestOnly.size() - shared.size()) {
            throw new IllegalArgumentException("memory of " + shared.size() + " bytes from offset " + offset + " of "
                    + guestOnly + " must begin at a multiple of " + pageSize + " and end within it");
        }
        return memory.add(base, shared, MemoryRegion.Access.READ_WRITE, new MemorySlots.GuestOnly(guestOnly, offset));
    }

    /**
     * Sets what kind of memory a range of guest-physical addresses is ({@code KVM_SET_MEMORY_ATTRIBUTES}).
     *
     * @param base first address, a multiple of the page size
     * @param size size in bytes, a multiple of the page size
     * @param pages which pages the guest uses there
     * @throws IllegalStateException if this VM is closed
     * @throws UnsupportedCapabilityException if the host lacks {@link Capability#MEMORY_ATTRIBUTES}
     * @throws KvmException if the host refuses
     */
    public void setMemoryAttributes(GuestAddress base, long size, GuestMemfd.Pages pages) {
        GuestMemfd.setPages(vm, base, size, pages);
    }

    @Override
    public void removeMemory(MemoryRegion region) {
        memory.remove(region);
        if (dirtyRings.enabled()) {
            // What the rings still have of it must not be taken for pages of a region that gets its slot.
            collectDirtyPages();
        }
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
        if (dirtyRings.enabled()) {
            collectDirtyPages();
            return memory.takeHostDirtyPages(region);
        }
        return memory.takeDirtyPages(region);
    }

    /** Moves what the rings have to where the host's own writes are recorded, of whatever region it is. */
    private void collectDirtyPages() {
        try {
            dirtyRings.collect((region, offset) -> region.markDirty(offset, DirtyPages.PAGE_SIZE));
        } catch (DirtyRingOverrunException lost) {
            // A page too many is copied in vain; one too few is a broken snapshot.
            memory.memory().regions().forEach(region -> region.markDirty(0, region.size()));
        }
    }

    /**
     * Has each vCPU that is created from now on record the pages that it writes in a ring, in place of KVM's bitmap. To be called before the
     * first vCPU is created.
     *
     * <p>Regions are recorded while their dirty tracking is on, as ever. {@link #takeDirtyPages} goes on to work, and empties the rings: use it, or
     * {@link #harvestDirtyRings}, but not both at a time.
     *
     * @param entries size of each ring, a power of two; 4096 suits all processors. A full ring stops its vCPU with
     *     {@link io.github.jkvm.VmExit.DirtyRingFull}
     * @throws IllegalArgumentException if the host does not take this size; the text says what it takes
     * @throws IllegalStateException if this VM is closed
     * @throws UnsupportedCapabilityException if the host lacks {@link Capability#DIRTY_RING}
     * @throws KvmException if the host refuses, for instance because there is a vCPU
     */
    public void enableDirtyRing(int entries) {
        dirtyRings.enable(entries);
    }

    /**
     * Hands over the pages in the rings of all vCPUs, then resets the rings.
     *
     * @param handler takes the pages; see {@link DirtyRing.PageHandler} for when their contents may be read
     * @return how many pages there were
     * @throws DirtyRingOverrunException if the kernel lost pages of one of the rings
     * @throws IllegalStateException if this VM is closed or has no rings
     * @throws KvmException if the host refuses
     */
    public int harvestDirtyRings(DirtyRing.PageHandler handler) {
        return dirtyRings.collect(handler);
    }

    /**
     * Gives the harvested entries of all rings back to the kernel ({@code KVM_RESET_DIRTY_RINGS}): it reports their pages again when they are next
     * written, and vCPUs that were stopped by a full ring can run.
     *
     * @return how many entries that were
     * @throws IllegalStateException if this VM is closed or has no rings
     * @throws KvmException if the host refuses
     */
    public int resetDirtyRings() {
        return dirtyRings.reset();
    }

    final VmDirtyRings dirtyRings() {
        return dirtyRings;
    }

    /**
     * Returns where writes of the guest gather that need not leave it one by one.
     *
     * @return the ring, the same at every call
     */
    public CoalescedMmioRing coalescedWrites() {
        return coalescedWrites;
    }

    /**
     * Reads what the kernel counts about this VM ({@code KVM_GET_STATS_FD}).
     *
     * @return the statistics at this moment
     * @throws IllegalStateException if this VM is closed
     * @throws UnsupportedCapabilityException if the host lacks {@link Capability#BINARY_STATS}
     */
    public KvmStats statistics() {
        return StatsFile.read(vm, vm);
    }

    /**
     * Tells whether {@link #createDevice} can make a device of a type.
     *
     * @param type {@code KVM_DEV_TYPE_*}
     * @return true if it can
     * @throws IllegalStateException if this VM is closed
     */
    public boolean supportsDevice(int type) {
        return KvmDevice.supported(vm, type);
    }

    /**
     * Creates a device inside the kernel ({@code KVM_CREATE_DEVICE}). On Arm, the interrupt controller is one.
     *
     * @param type {@code KVM_DEV_TYPE_*}
     * @return the device, closed with this VM
     * @throws IllegalStateException if this VM is closed
     * @throws KvmException if the host has no such device or refuses
     */
    public KvmDevice createDevice(int type) {
        KvmDevice device = devices.add(() -> KvmDevice.create(vm, type, devices::remove));
        if (device.isInterruptController()) {
            // Its default routes depend on how many inputs the program gives it.
            interrupts.created(VmInterrupts.Controllers.ALL, null);
        }
        return device;
    }

    /**
     * Returns the settings the kernel keeps for this VM by group and number.
     *
     * @return the attributes
     */
    public DeviceAttributes attributes() {
        return new DeviceAttributes(vm);
    }

    @Override
    public VCpu createVCpu(int id) {
        return addVCpu(id);
    }

    final KvmVCpu addVCpu(int id) {
        return vcpus.add(id, hypervisor.maxVCpuIds(), this::openVCpu);
    }

    private KvmVCpu openVCpu(int id) {
        OwnedFd fd = new OwnedFd(vm.ioctl(VmIoctls.KVM_CREATE_VCPU, id), KvmVCpu.name(id));
        RunPage page = null;
        try {
            page = RunPage.map(fd, hypervisor.runPageSize());
            dirtyRings.open(id, fd);
            // Last: it holds the descriptor in use until it is closed.
            return newVCpu(id, fd, page);
        } catch (RuntimeException | Error failure) {
            if (page != null) {
                page.unmap();
            }
            fd.close();
            throw failure;
        }
    }

    KvmVCpu newVCpu(int id, OwnedFd fd, RunPage page) {
        return new KvmVCpu(this, id, fd, page, hypervisor.timer());
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

    /** What has to be told when interrupt controllers are created. */
    final VmInterrupts interrupts() {
        return interrupts;
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match) {
        return doorbells.place(match);
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match, HostFile event) {
        return doorbells.place(match, event);
    }

    @Override
    public EventLoop createEventLoop(@Nullable String name) {
        String thread = name == null ? "jkvm VM " + number + " events" : name;
        return loops.add(() -> EpollEventLoop.start(thread, loops::remove));
    }

    final OwnedFd fd() {
        return vm;
    }

    final boolean isRunByCurrentThread() {
        return vcpus.isRunByCurrentThread();
    }

    final void vcpuClosed(KvmVCpu vcpu) {
        vcpus.closed(vcpu);
    }

    @Override
    public void close() {
        if (vcpus.isRunByCurrentThread() || loops.any(EpollEventLoop::inLoop)) {
            // Whom this thread would wait for may wait for it.
            vcpus.closeWithoutWaiting();
        } else {
            vcpus.close();
        }
    }

    private void takeDown() {
        try {
            // First what calls devices, then what devices call, then what the kernel keeps the VM alive for.
            Closing.inOrder(
                    loops::close,
                    doorbells,
                    interrupts,
                    devices::close,
                    guestMemfds::close,
                    coalescedWrites::end,
                    dirtyRings::end,
                    vm,
                    memory::close);
        } finally {
            hypervisor.vmClosed(this);
        }
    }
}
