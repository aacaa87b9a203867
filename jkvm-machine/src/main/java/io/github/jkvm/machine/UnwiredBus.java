package io.github.jkvm.machine;

import io.github.jkvm.Bus;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostFile;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.IoHandler;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PciBus;
import io.github.jkvm.PlatformSlot;

/** The bus of a board without an interrupt controller: interrupt lines lead nowhere, and drivers poll. */
final class UnwiredBus implements Bus {
    private final Bus bus;

    UnwiredBus(Bus bus) {
        this.bus = bus;
    }

    @Override
    public InterruptLine interruptLine(int gsi) {
        return new InterruptLine() {
            @Override
            public int gsi() {
                return gsi;
            }

            @Override
            public void raise() {}

            @Override
            public void lower() {}
        };
    }

    @Override
    public GuestMemory memory() {
        return bus.memory();
    }

    @Override
    public Claim claimPorts(int first, int count, IoHandler handler, String owner) {
        return bus.claimPorts(first, count, handler, owner);
    }

    @Override
    public Claim claimMmio(GuestAddress base, long size, IoHandler handler, String owner) {
        return bus.claimMmio(base, size, handler, owner);
    }

    @Override
    public Interrupt interrupt(int gsi) {
        return bus.interrupt(gsi);
    }

    @Override
    public MessageInterrupt messageInterrupt() {
        return bus.messageInterrupt();
    }

    @Override
    public PciBus pci() {
        return bus.pci();
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match) {
        return bus.doorbell(match);
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match, HostFile event) {
        return bus.doorbell(match, event);
    }

    @Override
    public PlatformSlot platformSlot(String hardwareId, long size) {
        return bus.platformSlot(hardwareId, size);
    }

    @Override
    public EventLoop eventLoop() {
        return bus.eventLoop();
    }

    @Override
    public EventLoop createEventLoop(String name) {
        return bus.createEventLoop(name);
    }
}
