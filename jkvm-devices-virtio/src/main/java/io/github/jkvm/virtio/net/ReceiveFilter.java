package io.github.jkvm.virtio.net;

import io.github.jkvm.DeviceState;
import io.github.jkvm.virtio.queue.ChainReader;
import java.nio.ByteBuffer;
import java.nio.LongBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Which frames the guest wants to get: virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3. Until the driver says something, it gets all.
 */
final class ReceiveFilter {
    /** How many addresses of a kind are kept; with more, all of the kind are let through (5.1.6.5.2: filtering need not be perfect). */
    static final int MAX_ADDRESSES = 64;

    /** Commands of class {@code VIRTIO_NET_CTRL_RX}, which are also the places of their switches here. */
    static final int PROMISCUOUS = 0;

    private static final int ALL_MULTICAST = 1;
    private static final int ALL_UNICAST = 2;
    private static final int NO_MULTICAST = 3;
    private static final int NO_UNICAST = 4;
    private static final int NO_BROADCAST = 5;
    static final int MODES = 6;

    private static final int VLANS = 4096;

    /** The type of a frame with a VLAN tag (IEEE 802.1Q). */
    private static final int VLAN_TAG = 0x8100;

    private static final int TYPE_OFFSET = 12;
    private static final int TAG_END = 16;

    private final boolean[] modes = new boolean[MODES];
    private final long[] vlans = new long[VLANS / Long.SIZE];
    private AddressList unicast = AddressList.EMPTY;
    private AddressList multicast = AddressList.EMPTY;
    private boolean filtersVlans;

    /** Addresses that were asked for, or too many to keep. */
    private static final class AddressList {
        static final AddressList EMPTY = new AddressList(new long[0], false);

        private final long[] addresses;
        private final boolean overflowed;

        AddressList(long[] addresses, boolean overflowed) {
            this.addresses = addresses;
            this.overflowed = overflowed;
        }

        boolean contains(long address) {
            for (long each : addresses) {
                if (each == address) {
                    return true;
                }
            }
            return overflowed;
        }
    }

    /** Begins anew. */
    void reset(boolean withVlans) {
        Arrays.fill(modes, false);
        modes[PROMISCUOUS] = true;
        Arrays.fill(vlans, 0);
        unicast = AddressList.EMPTY;
        multicast = AddressList.EMPTY;
        filtersVlans = withVlans;
    }

    void setMode(int mode, boolean on) {
        modes[mode] = on;
    }

    /** Takes over both tables of {@code VIRTIO_NET_CTRL_MAC_TABLE_SET}; false if they are not what they say. */
    boolean setTables(ChainReader reader) {
        AddressList first = readTable(reader);
        AddressList second = first == null ? null : readTable(reader);
        if (first == null || second == null) {
            return false;
        }
        unicast = first;
        multicast = second;
        return true;
    }

    private static @Nullable AddressList readTable(ChainReader reader) {
        if (!reader.has(Integer.BYTES)) {
            return null;
        }
        long entries = Integer.toUnsignedLong(reader.nextInt());
        if (!reader.has(entries * MacAddress.BYTES)) {
            return null;
        }
        if (entries > MAX_ADDRESSES) {
            reader.skip(entries * MacAddress.BYTES);
            return new AddressList(new long[0], true);
        }
        long[] addresses = new long[(int) entries];
        for (int i = 0; i < addresses.length; i++) {
            addresses[i] = readAddress(reader);
        }
        return new AddressList(addresses, false);
    }

    static long readAddress(ChainReader reader) {
        long address = 0;
        for (int i = 0; i < MacAddress.BYTES; i++) {
            address = address << Byte.SIZE | (reader.nextByte() & 0xFF);
        }
        return address;
    }

    /** Lets a VLAN through, or no more; false if there is no such VLAN. */
    boolean setVlan(int id, boolean wanted) {
        if (id >= VLANS) {
            return false;
        }
        long bit = 1L << id;
        int word = id / Long.SIZE;
        vlans[word] = wanted ? vlans[word] | bit : vlans[word] & ~bit;
        return true;
    }

    /** Tells whether the guest wants a frame, whose own address is {@code own}. */
    boolean wants(Frame frame, long own) {
        if (modes[PROMISCUOUS]) {
            return true;
        }
        if (filtersVlans && frame.number(TYPE_OFFSET, Short.BYTES) == VLAN_TAG && !wantsVlan(frame)) {
            return false;
        }
        long target = frame.number(0, MacAddress.BYTES);
        if (target == MacAddress.BROADCAST) {
            return !modes[NO_BROADCAST];
        }
        if (MacAddress.isGroup(target)) {
            return !modes[NO_MULTICAST] && (modes[ALL_MULTICAST] || multicast.contains(target));
        }
        return !modes[NO_UNICAST] && (modes[ALL_UNICAST] || target == own || unicast.contains(target));
    }

    private boolean wantsVlan(Frame frame) {
        if (frame.size() < TAG_END) {
            return false;
        }
        int id = (int) frame.number(TYPE_OFFSET + Short.BYTES, Short.BYTES) % VLANS;
        return (vlans[id / Long.SIZE] & 1L << id) != 0;
    }

    void save(DeviceState state) {
        long bits = 0;
        for (int i = 0; i < MODES; i++) {
            bits |= (modes[i] ? 1L : 0) << i;
        }
        state.putNumber("filter.modes", bits);
        state.putNumber("filter.vlans", filtersVlans ? 1 : 0);
        state.putBytes("filter.vlanBits", toBytes(vlans));
        save(state, "filter.unicast", unicast);
        save(state, "filter.multicast", multicast);
    }

    void restore(DeviceState state) {
        long bits = state.number("filter.modes", 0, (1 << MODES) - 1);
        for (int i = 0; i < MODES; i++) {
            modes[i] = (bits >> i & 1) != 0;
        }
        filtersVlans = state.number("filter.vlans", 0, 1) != 0;
        long[] saved = toLongs(state.bytes("filter.vlanBits", VLANS / Byte.SIZE));
        System.arraycopy(saved, 0, vlans, 0, Math.min(saved.length, vlans.length));
        unicast = restoreList(state, "filter.unicast");
        multicast = restoreList(state, "filter.multicast");
    }

    private static void save(DeviceState state, String name, AddressList list) {
        state.putBytes(name, toBytes(list.addresses));
        state.putNumber(name + ".overflowed", list.overflowed ? 1 : 0);
    }

    private static AddressList restoreList(DeviceState state, String name) {
        long[] addresses = toLongs(state.bytes(name, MAX_ADDRESSES * Long.BYTES));
        return new AddressList(addresses, state.number(name + ".overflowed", 0, 1) != 0);
    }

    private static byte[] toBytes(long[] values) {
        ByteBuffer buffer = ByteBuffer.allocate(values.length * Long.BYTES);
        buffer.asLongBuffer().put(values);
        return buffer.array();
    }

    private static long[] toLongs(byte[] bytes) {
        LongBuffer buffer = ByteBuffer.wrap(bytes).asLongBuffer();
        long[] values = new long[buffer.remaining()];
        buffer.get(values);
        return values;
    }
}
