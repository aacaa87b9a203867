package io.github.jkvm.kvm;

import io.github.jkvm.VCpu;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** The vCPUs of one VM, and the VM's end: it is taken down when it is closed and the last of them has gone. */
final class VCpus {
    private final Runnable takeDown;
    private final Set<KvmVCpu> open = new LinkedHashSet<>();
    private final BitSet usedIds = new BitSet();
    private final CountDownLatch down = new CountDownLatch(1);
    private boolean closing;
    private boolean takingDown;

    /**
     * Creates the set, empty.
     *
     * @param takeDown closes what else the VM has; run once, by the thread that closes the VM or that leaves the last vCPU
     */
    VCpus(Runnable takeDown) {
        this.takeDown = takeDown;
    }

    /**
     * Makes one more.
     *
     * @param id its number
     * @param ids how many numbers there are
     * @param maker makes it; runs with the set locked, so that none is made while all are closed
     */
    synchronized KvmVCpu add(int id, int ids, IntFunction<KvmVCpu> maker) {
        if (closing) {
            throw new IllegalStateException("VM is closed");
        }
        if (id < 0 || id >= ids) {
            throw new IllegalArgumentException("vCPU id " + id + " must be from 0 to " + (ids - 1));
        }
        if (usedIds.get(id)) {
            throw new IllegalArgumentException(
                    "vCPU id " + id + " is taken, or was before; KVM frees it only with the VM");
        }
        KvmVCpu vcpu = maker.apply(id);
        usedIds.set(id);
        open.add(vcpu);
        return vcpu;
    }

    synchronized List<VCpu> list() {
        return List.copyOf(open);
    }

    /** The descriptor of one of them, or null if there is none. */
    synchronized @Nullable OwnedFd any() {
        return open.isEmpty() ? null : open.iterator().next().fd();
    }

    /** Whether the calling thread runs one, so that waiting for all to stop would be waiting for itself. */
    synchronized boolean isRunByCurrentThread() {
        return open.stream().anyMatch(KvmVCpu::isRunByCurrentThread);
    }

    /** Closes the VM and waits until it is taken down. */
    void close() {
        stopping().forEach(KvmVCpu::close);
        takeDownIfLast();
        awaitDown();
    }

    /** Closes the VM on a thread that others may wait for: the last vCPU to be left takes it down. */
    void closeWithoutWaiting() {
        stopping().forEach(KvmVCpu::closeWithoutWaiting);
        takeDownIfLast();
    }

    /** Forgets one that is closed. */
    void closed(KvmVCpu vcpu) {
        synchronized (this) {
            open.remove(vcpu);
        }
        takeDownIfLast();
    }

    private synchronized List<KvmVCpu> stopping() {
        closing = true;
        return List.copyOf(open);
    }

    private void takeDownIfLast() {
        synchronized (this) {
            if (!closing || takingDown || !open.isEmpty()) {
                return;
            }
            takingDown = true;
        }
        try {
            takeDown.run();
        } finally {
            down.countDown();
        }
    }

    private void awaitDown() {
        boolean interrupted = false;
        while (true) {
            try {
                down.await();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
