package io.github.jkvm.virtio.vhost;

import io.github.jkvm.DeviceState;
import io.github.jkvm.HostFile;
import io.github.jkvm.virtio.ChainHandler;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;

/**
 * A network device (virtio 1.2, 5.1) with pairs of queues that another process serves. Commands of the driver, which there are with several pairs, are served
 * here: how many pairs it uses.
 */
public final class VhostUserNet extends VhostUserDevice {
    /** Most pairs: a message has 8 bits for the number of a ring. */
    public static final int MOST_PAIRS = 127;

    private static final int DEVICE_ID = 1;
    private static final int QUEUE_SIZE = 256;
    private static final int CONTROL_QUEUE_SIZE = 64;
    private static final int MAC_SIZE = 6;

    /* struct virtio_net_config: the address, the status, the most pairs. */
    private static final int PAIRS_FIELD = 8;
    private static final int CONFIG_SIZE = 10;

    /* Features. */
    private static final int MAC_FEATURE = 5;
    private static final int COMMANDS = 17;
    private static final int SEVERAL_PAIRS = 22;

    /** Checksum and segmentation offloads (0, 1, 7 to 14) and merged buffers (15). Others need more commands or fields of the configuration space. */
    private static final long UNDERSTOOD = 0xFF83;

    private final int mostPairs;
    private final ChainHandler commands = this::serveCommand;
    private final Counter served = counter("controlCommands");

    /** How many pairs the driver uses. */
    private int pairs = 1;

    /**
     * Creates a device with one pair of queues.
     *
     * @param name a name, unique in its machine
     * @param socket where the back end listens
     * @param mac the guest's address, 6 bytes
     * @throws IllegalArgumentException if it has another length
     */
    public VhostUserNet(String name, Path socket, byte[] mac) {
        this(name, socket, mac, 1);
    }

    /**
     * Creates a device with several pairs of queues, about one for each processor of the guest.
     *
     * @param name a name, unique in its machine
     * @param socket where the back end listens
     * @param mac the guest's address, 6 bytes
     * @param pairs the number of pairs, 1 to {@link #MOST_PAIRS}
     * @throws IllegalArgumentException if the address has another length or the number is out of range
     */
    public VhostUserNet(String name, Path socket, byte[] mac, int pairs) {
        this(name, at(socket), mac, pairs);
    }

    VhostUserNet(String name, BackEndAddress address, byte[] mac, int pairs) {
        super(
                name,
                DEVICE_ID,
                config(name, mac, pairs),
                address,
                EnumSet.of(ProtocolFeature.MULTIPLE_QUEUES, ProtocolFeature.REPLY_ACK),
                UNDERSTOOD,
                sizes(name, pairs));
        this.mostPairs = pairs;
    }

    private static ConfigSpace config(String name, byte[] mac, int pairs) {
        if (mac.length != MAC_SIZE) {
            throw new IllegalArgumentException(
                    "address of " + name + " has " + mac.length + " bytes; it must have " + MAC_SIZE);
        }
        return new ConfigSpace(CONFIG_SIZE).setBytes(0, mac).setShort(PAIRS_FIELD, pairs);
    }

    /** Receive and transmit queue of each pair; then, if there are several, that of commands (virtio 1.2, 5.1.2). */
    private static int[] sizes(String name, int pairs) {
        if (pairs < 1 || pairs > MOST_PAIRS) {
            throw new IllegalArgumentException(
                    "device " + name + " has " + pairs + " pairs of queues; 1 to " + MOST_PAIRS + " are possible");
        }
        int[] sizes = new int[pairs == 1 ? 2 : 2 * pairs + 1];
        Arrays.fill(sizes, QUEUE_SIZE);
        if (pairs > 1) {
            sizes[2 * pairs] = CONTROL_QUEUE_SIZE;
        }
        return sizes;
    }

    /** Also what this side tells: the address, and the number of pairs. */
    @Override
    protected long features() {
        long own = mostPairs == 1 ? 0 : 1L << COMMANDS | 1L << SEVERAL_PAIRS;
        return super.features() | 1L << MAC_FEATURE | own;
    }

    /** "The driver MUST NOT negotiate VIRTIO_NET_F_MQ without VIRTIO_NET_F_CTRL_VQ" (5.1.3.1). */
    @Override
    protected boolean accepts(long chosen) {
        return (chosen & 1L << SEVERAL_PAIRS) == 0 || (chosen & 1L << COMMANDS) != 0;
    }

    /** Back ends of network devices count pairs, as QEMU and DPDK do, or queues, which are more. */
    @Override
    long queuesNeeded() {
        return mostPairs;
    }

    @Override
    protected Optional<HostFile> notificationEvent(int queue) {
        return queue < 2 * mostPairs ? super.notificationEvent(queue) : Optional.empty();
    }

    /** With no more than one pair agreed on, the commands' queue follows it (5.1.2). */
    @Override
    boolean isHandedOver(int queue) {
        return queue < (hasFeature(SEVERAL_PAIRS) ? 2 * mostPairs : 2);
    }

    @Override
    VhostConnection.RingUse firstUse(int queue) {
        return queue / 2 < pairs ? VhostConnection.RingUse.ENABLED : VhostConnection.RingUse.DISABLED;
    }

    @Override
    protected void reset() {
        super.reset();
        pairs = 1;
    }

    @Override
    void serveHere(DeviceQueue queue) {
        if (hasFeature(COMMANDS) && queue.index() == (hasFeature(SEVERAL_PAIRS) ? 2 * mostPairs : 2)) {
            queue.serve(commands);
        }
    }

    /** The only command (5.1.6.5.5): class VIRTIO_NET_CTRL_MQ, command VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, a number of 16 bits. */
    private long serveCommand(DescriptorChain chain) {
        int pairsClass = 4;
        int pairsSet = 0;
        byte ok = 0;
        byte error = 1;
        served.increment();
        ChainReader reader = chain.reader();
        boolean done = reader.has(2 + Short.BYTES)
                && (reader.nextByte() & 0xFF) == pairsClass
                && (reader.nextByte() & 0xFF) == pairsSet
                && usePairs(reader.nextShort() & 0xFFFF);
        if (!chain.writer().has(1)) {
            return 0;
        }
        chain.writer().putByte(done ? ok : error);
        return 1;
    }

    private boolean usePairs(int count) {
        if (!hasFeature(SEVERAL_PAIRS) || count < 1 || count > mostPairs) {
            return false;
        }
        pairs = count;
        tell(backEnd -> {
            for (int queue = 0; queue < 2 * mostPairs; queue++) {
                if (queue(queue).isActive()) {
                    backEnd.enableRing(queue, firstUse(queue));
                }
            }
        });
        return true;
    }

    @Override
    protected void save(DeviceState state) {
        state.putNumber("pairs", pairs);
    }

    @Override
    protected void restore(DeviceState state) {
        pairs = (int) state.number("pairs", 1, mostPairs);
    }
}
