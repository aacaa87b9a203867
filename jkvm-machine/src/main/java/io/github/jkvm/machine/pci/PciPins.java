package io.github.jkvm.machine.pci;

import io.github.jkvm.Bus;
import io.github.jkvm.InterruptLine;
import java.util.List;

/** The interrupt pins of a bus's devices, several of which share a line: it is raised while one of them is asserted (2.2.6). */
final class PciPins {
    private final List<InterruptLine> lines;
    /** Bit n is device n's: whether the device asserts its pin, and whether the pin reaches the line. */
    private int asserted;

    private int connected;
    private final boolean[] driven;

    PciPins(Bus bus, PciLayout layout) {
        this.lines = layout.pinGsis().stream().map(bus::interruptLine).toList();
        this.driven = new boolean[lines.size()];
    }

    InterruptLine lineOf(int device) {
        return lines.get(device % lines.size());
    }

    synchronized void setAsserted(int device, boolean level) {
        asserted = with(asserted, device, level);
        drive(device % lines.size());
    }

    synchronized void setConnected(int device, boolean level) {
        connected = with(connected, device, level);
        drive(device % lines.size());
    }

    synchronized boolean isAsserted(int device) {
        return (asserted & 1 << device) != 0;
    }

    private static int with(int bits, int device, boolean level) {
        return level ? bits | 1 << device : bits & ~(1 << device);
    }

    private void drive(int index) {
        boolean level = false;
        for (int device = index; device < Integer.SIZE; device += lines.size()) {
            level |= (asserted & connected & 1 << device) != 0;
        }
        if (level != driven[index]) {
            driven[index] = level;
            if (level) {
                lines.get(index).raise();
            } else {
                lines.get(index).lower();
            }
        }
    }

    /** Drives the lines as they are, whatever the interrupt controller thinks: its state may have been set meanwhile. */
    synchronized void driveAnew() {
        for (int index = 0; index < lines.size(); index++) {
            driven[index] = !driven[index];
            drive(index);
        }
    }
}
