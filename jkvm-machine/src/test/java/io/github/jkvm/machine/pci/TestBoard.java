package io.github.jkvm.machine.pci;

import io.github.jkvm.PciFunction;
import io.github.jkvm.PciSlot;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.device.GuestRequest;
import io.github.jkvm.machine.device.ResetControl;
import java.util.ArrayList;
import java.util.List;

/** A PCI bus with the accesses that a kernel makes. */
final class TestBoard {
    static final long ECAM = 0xE000_0000L;
    static final long WINDOW = 0xE800_0000L;
    static final long HIGH_WINDOW = 0x10_0000_0000L;
    static final PciLayout LAYOUT = new PciLayout(
            new GuestRange(ECAM, PciLayout.CONFIGURATION_SIZE),
            List.of(new GuestRange(WINDOW, 0x100_0000), new GuestRange(HIGH_WINDOW, 1L << 32)),
            List.of(16, 17, 18, 19));

    static final int COMMAND = 0x04;
    static final int STATUS = 0x06;
    static final int BAR0 = 0x10;
    static final int BAR4 = 0x20;
    static final int MSIX = 0x11;

    final TestVm vm = new TestVm();
    final List<GuestRequest> requests = new ArrayList<>();
    final PciHost host = new PciHost(LAYOUT, new ResetControl(requests::add));

    TestBoard() {
        host.attach(vm.bus);
        vm.bus.usePci(host);
    }

    PciSlot plug(PciFunction function) {
        return vm.bus.pci().plug(function);
    }

    static long ecam(int device, int register) {
        return ECAM + ((long) device << 15) + register;
    }

    long read(int device, int register, int size) {
        return cut(vm.bus.mmioRead(ecam(device, register), size), size);
    }

    void write(int device, int register, int size, long value) {
        vm.bus.mmioWrite(ecam(device, register), size, value);
    }

    long in(int port, int size) {
        return cut(vm.bus.portIn(port, size), size);
    }

    void out(int port, int size, long value) {
        vm.bus.portOut(port, size, value);
    }

    static long cut(long value, int size) {
        return size == Long.BYTES ? value : value & ((1L << (size * Byte.SIZE)) - 1);
    }

    long barAddress(int device, int register) {
        return (read(device, register, 4) & ~0xFL) | (read(device, register + 4, 4) << Integer.SIZE);
    }

    void setBar(int device, int register, long address) {
        write(device, register, 4, address);
        write(device, register + 4, 4, address >>> Integer.SIZE);
    }

    /** Follows the list of capabilities, as a driver does, to the first with an id; 0 if there is none. */
    int capability(int device, int id) {
        int at = (int) read(device, 0x34, 1);
        for (int i = 0; at != 0; i++) {
            if (i == 48 || at % 4 != 0) {
                throw new AssertionError("bad list of capabilities at 0x" + Integer.toHexString(at));
            }
            if (read(device, at, 1) == id) {
                return at;
            }
            at = (int) read(device, at + 1, 1);
        }
        return 0;
    }
}
