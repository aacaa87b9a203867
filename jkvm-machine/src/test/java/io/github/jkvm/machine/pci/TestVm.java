package io.github.jkvm.machine.pci;

import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostFile;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.Vm;
import io.github.jkvm.VmBus;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A VM of which only memory and interrupts are there, all of them in plain sight. */
final class TestVm {
    static final long RAM = 0x10_0000;

    final VmBus bus;
    final List<Message> interrupts = new ArrayList<>();
    final Map<Integer, Line> lines = new TreeMap<>();
    /** How many message interrupts there may be. */
    int limit = 4096;

    boolean refusesMessages;

    TestVm() {
        GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, RAM));
        ClassLoader loader = TestVm.class.getClassLoader();
        var vm = (Vm) Proxy.newProxyInstance(
                loader, new Class<?>[] {Vm.class}, (proxy, method, args) -> switch (method.getName()) {
                    case "memory" -> memory;
                    case "messageInterrupt" -> newInterrupt();
                    case "interruptLine" -> lines.computeIfAbsent((Integer) args[0], Line::new);
                    default -> throw new UnsupportedOperationException(method.getName());
                });
        var loop =
                (EventLoop) Proxy.newProxyInstance(loader, new Class<?>[] {EventLoop.class}, (proxy, method, args) -> {
                    throw new UnsupportedOperationException(method.getName());
                });
        this.bus = new VmBus(vm, loop);
    }

    private Message newInterrupt() {
        if (interrupts.stream().filter(one -> !one.closed).count() == limit) {
            throw new HypervisorException("no interrupt number is left");
        }
        var interrupt = new Message(interrupts.size());
        interrupts.add(interrupt);
        return interrupt;
    }

    /** Notes what it is told and how often it is signalled. */
    final class Message implements MessageInterrupt {
        private final int gsi;
        final List<String> messages = new ArrayList<>();
        final List<HostFile> attached = new ArrayList<>();
        int signals;
        boolean closed;

        Message(int gsi) {
            this.gsi = gsi;
        }

        @Override
        public int gsi() {
            return gsi;
        }

        @Override
        public void setMessage(long address, int data) {
            if (refusesMessages) {
                throw new HypervisorException("refused");
            }
            messages.add(Long.toHexString(address) + "=" + Integer.toHexString(data));
        }

        @Override
        public void signal() {
            if (closed) {
                throw new IllegalStateException("closed");
            }
            signals++;
        }

        @Override
        public Attachment attach(HostFile event) {
            attached.add(event);
            return () -> attached.remove(event);
        }

        @Override
        public void close() {
            closed = true;
        }
    }

    /** A wire that remembers its level. */
    static final class Line implements InterruptLine {
        private final int gsi;
        boolean high;

        Line(int gsi) {
            this.gsi = gsi;
        }

        @Override
        public int gsi() {
            return gsi;
        }

        @Override
        public void raise() {
            high = true;
        }

        @Override
        public void lower() {
            high = false;
        }
    }
}
