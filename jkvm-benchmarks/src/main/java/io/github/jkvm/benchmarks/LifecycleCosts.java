package io.github.jkvm.benchmarks;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;

/** What it takes to create a VM with a little memory and one vCPU, to run it to its end, and to close it: time beside C. */
final class LifecycleCosts {
    private static final int COUNT = 5;
    private static final int WARM_UP = 10_000;

    private final Hypervisor hypervisor;

    LifecycleCosts(Hypervisor hypervisor) {
        this.hypervisor = hypervisor;
    }

    void print(Peer peer) {
        new Comparison("lifecycle.create-run-close", COUNT, WARM_UP)
                .print(this::run, count -> peer.measure("lifecycle", RealModeGuest.WRITES_ONCE, count));
    }

    private long run(int count) {
        SummingDevice device = new SummingDevice();
        long start = System.nanoTime();
        for (int i = 0; i < count; i++) {
            try (Vm vm = RealModeGuest.WRITES_ONCE.create(hypervisor)) {
                VCpu vcpu = vm.vcpus().getFirst();
                RealModeGuest.checkHalted(vcpu, vcpu.run(device));
            }
        }
        long end = System.nanoTime();
        if (device.sum() != (long) count * '!') {
            throw new IllegalStateException(
                    "the guests wrote " + device.sum() + " in all instead of " + (long) count * '!');
        }
        return end - start;
    }
}
