package io.github.jkvm.virtio.net;

import io.github.jkvm.virtio.ChainHandler;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.DescriptorChain;

/** The queue of commands: virtio 1.2, 5.1.6.5. A command that is not known, not agreed on or not whole is answered with an error. */
final class ControlQueue implements ChainHandler {
    // Classes of commands.
    private static final int RECEIVE_MODE = 0;
    private static final int MAC = 1;
    private static final int VLAN = 2;
    private static final int ANNOUNCE = 3;
    private static final int QUEUES = 4;
    private static final int GUEST_OFFLOADS = 5;

    // Commands of class MAC.
    private static final int TABLE_SET = 0;
    private static final int ADDRESS_SET = 1;

    // Commands of class VLAN.
    private static final int VLAN_ADD = 0;
    private static final int VLAN_DELETE = 1;

    // The only commands of the other classes.
    private static final int ANNOUNCE_ACKNOWLEDGE = 0;
    private static final int PAIRS_SET = 0;
    private static final int OFFLOADS_SET = 0;

    private static final byte OK = 0;
    private static final byte ERROR = 1;

    /** The commands of class RX that need no more than {@code VIRTIO_NET_F_CTRL_RX}. */
    private static final int PLAIN_MODES = 2;

    private final NetDevice device;
    private final NetCounters counters;

    ControlQueue(NetDevice device, NetCounters counters) {
        this.device = device;
        this.counters = counters;
    }

    @Override
    public long serve(DescriptorChain chain) {
        counters.controlCommands.increment();
        boolean done = execute(chain.reader());
        if (!done) {
            counters.controlErrors.increment();
        }
        if (!chain.writer().has(1)) {
            return 0;
        }
        chain.writer().putByte(done ? OK : ERROR);
        return 1;
    }

    private boolean execute(ChainReader reader) {
        if (!reader.has(2)) {
            return false;
        }
        int type = reader.nextByte() & 0xFF;
        int command = reader.nextByte() & 0xFF;
        return switch (type) {
            case RECEIVE_MODE -> setReceiveMode(command, reader);
            case MAC -> setMac(command, reader);
            case VLAN -> setVlan(command, reader);
            case ANNOUNCE -> acknowledgeAnnouncement(command);
            case QUEUES -> setPairs(command, reader);
            case GUEST_OFFLOADS -> setOffloads(command, reader);
            default -> false;
        };
    }

    private boolean setReceiveMode(int mode, ChainReader reader) {
        if (mode >= ReceiveFilter.MODES || !reader.has(1)) {
            return false;
        }
        if (!device.agreed(mode < PLAIN_MODES ? NetFeature.CTRL_RX : NetFeature.CTRL_RX_EXTRA)) {
            return false;
        }
        device.filter().setMode(mode, reader.nextByte() != 0);
        return true;
    }

    private boolean setMac(int command, ChainReader reader) {
        return switch (command) {
            case TABLE_SET ->
                device.agreed(NetFeature.CTRL_RX) && device.filter().setTables(reader);
            case ADDRESS_SET ->
                device.agreed(NetFeature.CTRL_MAC_ADDR)
                        && reader.has(MacAddress.BYTES)
                        && device.setMac(ReceiveFilter.readAddress(reader));
            default -> false;
        };
    }

    private boolean setVlan(int command, ChainReader reader) {
        if (command > VLAN_DELETE || !device.agreed(NetFeature.CTRL_VLAN) || !reader.has(Short.BYTES)) {
            return false;
        }
        return device.filter().setVlan(reader.nextShort() & 0xFFFF, command == VLAN_ADD);
    }

    private boolean acknowledgeAnnouncement(int command) {
        if (command != ANNOUNCE_ACKNOWLEDGE || !device.agreed(NetFeature.GUEST_ANNOUNCE)) {
            return false;
        }
        device.announced();
        return true;
    }

    private boolean setPairs(int command, ChainReader reader) {
        return command == PAIRS_SET
                && device.agreed(NetFeature.MQ)
                && reader.has(Short.BYTES)
                && device.setPairs(reader.nextShort() & 0xFFFF);
    }

    private boolean setOffloads(int command, ChainReader reader) {
        return command == OFFLOADS_SET
                && device.agreed(NetFeature.CTRL_GUEST_OFFLOADS)
                && reader.has(Long.BYTES)
                && device.setGuestOffloads(reader.nextLong());
    }
}
