package io.github.jkvm.virtio.net;

import io.github.jkvm.virtio.Counter;
import java.util.function.Function;

/** What a network device counts. */
final class NetCounters {
    final Counter receivedFrames;
    final Counter receivedBytes;

    /** Frames for the guest that were too long for its buffers, or left work to it that it did not agree to. */
    final Counter receiveDropped;

    /** Frames that the guest has asked not to get, or for an address that is the guest's no more. */
    final Counter receiveFiltered;

    /** Receive buffers that break the rules, given back unused. */
    final Counter badReceiveChains;

    final Counter sentFrames;
    final Counter sentBytes;

    /** Frames of the guest that the backend did not take, that came while the link was down, or from an address that is the guest's no more. */
    final Counter sendDropped;

    /** What the guest gave to be sent and is no frame, or leaves work to the device that was not agreed on. */
    final Counter badSendChains;

    /** How many times sending had to wait for the backend. */
    final Counter sendWaits;

    /** Frames whose checksum the device has completed, since the guest does not. */
    final Counter checksumsCompleted;

    final Counter controlCommands;
    final Counter controlErrors;

    NetCounters(Function<String, Counter> counters) {
        receivedFrames = counters.apply("receivedFrames");
        receivedBytes = counters.apply("receivedBytes");
        receiveDropped = counters.apply("receiveDropped");
        receiveFiltered = counters.apply("receiveFiltered");
        badReceiveChains = counters.apply("badReceiveChains");
        sentFrames = counters.apply("sentFrames");
        sentBytes = counters.apply("sentBytes");
        sendDropped = counters.apply("sendDropped");
        badSendChains = counters.apply("badSendChains");
        sendWaits = counters.apply("sendWaits");
        checksumsCompleted = counters.apply("checksumsCompleted");
        controlCommands = counters.apply("controlCommands");
        controlErrors = counters.apply("controlErrors");
    }
}
