package io.github.jkvm.testkit.scripted;

import io.github.jkvm.VCpu;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.function.IntFunction;

/** The vCPUs of one VM, and the VM's end: it is taken down when it is closed and the last of them has gone. */
final class VCpuSet {
    private final Runnable takeDown;
    private final Set<ScriptedVCpu> open = new LinkedHashSet<>();
    private final BitSet usedIds = new BitSet();
    private final CountDownLatch down = new CountDownLatch(1);
    private boolean closing;
    private boolean takingDown;

    /**
     * Creates the set, empty.
     *
     * @param takeDown closes what else the VM has; run once, by the thread that closes the VM or that leaves the last vCPU
     */
    VCpuSet(Runnable takeDown) {
        this.takeDown = takeDown;
    }

    /**
     * Makes one more.
     *
     * @param id its number
     * @param ids how many numbers there are
     * @param maker makes it; runs with the set locked, so that none is made while all are closed
     */
    synchronized ScriptedVCpu add(int id, int ids, IntFunction<ScriptedVCpu> maker) {
        checkOpen();
        if (id < 0 || id >= ids) {
            throw new IllegalArgumentException("vCPU id " + id + " must be from 0 to " + (ids - 1));
        }
        if (usedIds.get(id)) {
            throw new IllegalArgumentException(
                    "vCPU id " + id + " is taken, or was before; it is free with the VM only");
        }
        ScriptedVCpu vcpu = maker.apply(id);
        usedIds.set(id);
        open.add(vcpu);
        return vcpu;
    }

    synchronized void checkOpen() {
        if (closing) {
            throw new IllegalStateException("VM is closed");
        }
    }

    synchronized List<ScriptedVCpu> scripted() {
        return List.copyOf(open);
    }

    synchronized List<VCpu> list() {
        return List.copyOf(open);
    }

    /** Whether there is one, or was. */
    synchronized boolean isUsed() {
        return !usedIds.isEmpty();
    }

    /** Whether the calling thread runs one or is the guest's, so that waiting for all to stop would be waiting for itself. */
    boolean isRunByCurrentThread() {
        return scripted().stream().anyMatch(ScriptedVCpu::isRunByCurrentThread);
    }

    /** Closes the VM and waits until it is taken down. */
    void close() {
        stopping().forEach(ScriptedVCpu::close);
        takeDownIfLast();
        awaitDown();
    }

    /** Closes the VM on a thread that others may wait for: the last vCPU to be left takes it down. */
    void closeWithoutWaiting() {
        stopping().forEach(ScriptedVCpu::closeWithoutWaiting);
        takeDownIfLast();
    }

    /** Forgets one that is closed. */
    void closed(ScriptedVCpu vcpu) {
        synchronized (this) {
            open.remove(vcpu);
        }
        takeDownIfLast();
    }

    private synchronized List<ScriptedVCpu> stopping() {
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
                // What the caller takes down next may be in use by the VM: it has to be waited for.
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
