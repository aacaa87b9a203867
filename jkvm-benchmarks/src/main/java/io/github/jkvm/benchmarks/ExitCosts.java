package io.github.jkvm.benchmarks;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.EventLoop;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;
import io.github.jkvm.VmBus;
import java.lang.management.ManagementFactory;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.Locale;

/** What it takes to leave the guest for a device and to enter it again: time beside C, and memory of the Java heap. */
final class ExitCosts {
    private static final int COUNT = 1_000;
    private static final int WARM_UP = 200_000;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final Hypervisor hypervisor;

    ExitCosts(Hypervisor hypervisor) {
        this.hypervisor = hypervisor;
    }

    void print(Peer peer) {
        new Comparison("exits.port", COUNT, WARM_UP)
                .print(
                        count -> run(RealModeGuest.WRITES_PORT, count).nanoseconds(),
                        count -> peer.measure("exits", RealModeGuest.WRITES_PORT, count));
        new Comparison("exits.mmio", COUNT, WARM_UP)
                .print(
                        count -> run(RealModeGuest.WRITES_MMIO, count).nanoseconds(),
                        count -> peer.measure("exits", RealModeGuest.WRITES_MMIO, count));
        printAllocation();
    }

    /** What entering and leaving {@code run} itself allocates is the same for one exit and for many: the difference is the exits'. */
    private void printAllocation() {
        long few = run(RealModeGuest.WRITES_PORT, COUNT).allocated()
                + run(RealModeGuest.WRITES_MMIO, COUNT).allocated();
        long many = run(RealModeGuest.WRITES_PORT, 2 * COUNT).allocated()
                + run(RealModeGuest.WRITES_MMIO, 2 * COUNT).allocated();
        var format = new DecimalFormat("0.####", DecimalFormatSymbols.getInstance(Locale.ROOT));
        System.out.println("exits.allocation " + format.format((many - few) / (2.0 * COUNT)) + " bytes per exit");
    }

    /** Time and heap memory that a run took. */
    private record Cost(long nanoseconds, long allocated) {}

    private Cost run(RealModeGuest guest, int count) {
        try (Vm vm = guest.create(hypervisor);
                EventLoop loop = vm.createEventLoop(null);
                SummingDevice device = new SummingDevice()) {
            VmBus bus = new VmBus(vm, loop);
            device.attach(bus);
            vm.memory().writeInt(RealModeGuest.COUNT_ADDRESS, count);
            VCpu vcpu = vm.vcpus().getFirst();
            long allocated = THREADS.getCurrentThreadAllocatedBytes();
            long start = System.nanoTime();
            var exit = vcpu.run(bus);
            long end = System.nanoTime();
            allocated = THREADS.getCurrentThreadAllocatedBytes() - allocated;
            RealModeGuest.checkHalted(vcpu, exit);
            return new Cost(end - start, allocated);
        }
    }
}
