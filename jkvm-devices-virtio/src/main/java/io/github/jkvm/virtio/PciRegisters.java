package io.github.jkvm.virtio;

import io.github.jkvm.IoHandler;
import io.github.jkvm.PciCapability;
import java.util.ArrayList;
import java.util.List;

/**
 * Where the structures of a virtio device are in its registers, and the capabilities that tell the driver (virtio 1.2, 4.1.4). Each structure
 * has a page or more of its own, so that a guest may hand them out one by one.
 */
final class PciRegisters implements IoHandler {
    /** The base address register that all structures are in. */
    static final int BAR = 0;

    /** Size of the registers in bytes: a power of two. */
    static final int SIZE = 0x4000;

    /** How far apart the places are at which queues are notified ({@code notify_off_multiplier}). */
    static final int NOTIFY_MULTIPLIER = 4;

    private static final int COMMON = 0x0000;
    private static final int ISR = 0x1000;
    private static final int DEVICE = 0x2000;
    private static final int NOTIFY = 0x3000;
    private static final int PAGE = 0x1000;

    /* cfg_type of a capability. */
    private static final int CAP_COMMON = 1;
    private static final int CAP_NOTIFY = 2;
    private static final int CAP_ISR = 3;
    private static final int CAP_DEVICE = 4;
    private static final int CAP_PCI = 5;

    private final DeviceCore core;
    private final PciInterrupt interrupt;
    private final PciCommonRegisters common;
    private final int configSize;

    PciRegisters(DeviceCore core, PciInterrupt interrupt, PciCommonRegisters common, int configSize) {
        this.core = core;
        this.interrupt = interrupt;
        this.common = common;
        this.configSize = configSize;
    }

    /** Returns where a queue is notified, relative to the first register. */
    static long notifyOffset(int queue) {
        return NOTIFY + (long) queue * NOTIFY_MULTIPLIER;
    }

    @Override
    public long read(long offset, int size) {
        int inside = (int) offset & PAGE - 1;
        return switch ((int) offset & -PAGE) {
            case COMMON -> common.read(inside, size);
            // Also a wider read of this one register has its effect, which is the safe thing to do for a shared pin.
            case ISR -> inside == 0 ? interrupt.takeStatus() : 0;
            case DEVICE -> core.readConfig(inside, size);
            default -> 0;
        };
    }

    @Override
    public void write(long offset, int size, long value) {
        int inside = (int) offset & PAGE - 1;
        switch ((int) offset & -PAGE) {
            case COMMON -> common.write(inside, size, value);
            case DEVICE -> core.writeConfig(inside, size, value);
            case NOTIFY -> {
                // Where there are doorbells, this is not reached. Each queue has a place, so what is written does not
                // matter.
                if (inside % NOTIFY_MULTIPLIER == 0) {
                    core.notifyFromVcpu(inside / NOTIFY_MULTIPLIER);
                }
            }
            default -> {
                // The ISR status register is read-only.
            }
        }
    }

    /** Returns the capabilities, the window for accesses through configuration space included. */
    List<PciCapability> capabilities(PciConfigWindow window) {
        List<PciCapability> list = new ArrayList<>();
        list.add(structure(CAP_COMMON, COMMON, PciCommonRegisters.LENGTH));
        list.add(structure(CAP_ISR, ISR, 1));
        if (configSize > 0) {
            list.add(structure(CAP_DEVICE, DEVICE, configSize));
        }
        list.add(structure(CAP_NOTIFY, NOTIFY, core.queueCount() * NOTIFY_MULTIPLIER, NOTIFY_MULTIPLIER));
        list.add(new PciCapability(PciCapability.VENDOR_SPECIFIC, PciConfigWindow.LENGTH, window));
        return list;
    }

    /** {@code struct virtio_pci_cap} from its third byte on, which gives the length of the whole, and the words that follow it. */
    static byte[] content(int type, int offset, int length, int... more) {
        byte[] bytes = new byte[14 + more.length * Integer.BYTES];
        bytes[0] = (byte) (bytes.length + 2);
        bytes[1] = (byte) type;
        bytes[2] = BAR;
        putInt(bytes, 6, offset);
        putInt(bytes, 10, length);
        for (int i = 0; i < more.length; i++) {
            putInt(bytes, 14 + i * Integer.BYTES, more[i]);
        }
        return bytes;
    }

    /** The content of the capability for the window: it begins with no place chosen. */
    static byte[] windowContent() {
        return content(CAP_PCI, 0, 0, 0);
    }

    private static PciCapability structure(int type, int offset, int length, int... more) {
        return PciCapability.constant(PciCapability.VENDOR_SPECIFIC, content(type, offset, length, more));
    }

    private static void putInt(byte[] bytes, int at, int value) {
        for (int i = 0; i < Integer.BYTES; i++) {
            bytes[at + i] = (byte) (value >>> (i * Byte.SIZE));
        }
    }
}
