package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import java.util.Set;

/**
 * What a {@link NetDevice} is plugged into: it takes the guest's frames and has frames for the guest.
 *
 * <p>A backend belongs to one device, which closes it. Methods are called on the event loop of the device's machine, unless they say otherwise, and must
 * not wait. A backend does no more than the device asks for; when there is something new, it tells its {@link Events}.
 *
 * <p>The queues of a device with several come in pairs, and so do a backend's: a frame from transmit queue {@code i} is sent to pair {@code i},
 * and a frame received from pair {@code i} goes to receive queue {@code i}.
 */
public interface NetBackend extends AutoCloseable {

    /** What a backend tells its device, on the event loop. */
    interface Events {
        /**
         * There may be frames for the guest, after there were none.
         *
         * @param pair of which pair, from 0
         */
        void readable(int pair);

        /**
         * Frames are taken again, after one was not.
         *
         * @param pair of which pair, from 0
         */
        void writable(int pair);

        /**
         * The cable was plugged in or pulled out.
         *
         * @param state how it is now
         */
        void linkChanged(LinkState state);
    }

    /** What became of a frame. */
    enum Sent {
        /** It is on its way. */
        TAKEN,
        /** There is no room at the moment: try again after {@link Events#writable}. */
        FULL,
        /** It is lost, as frames may be: for instance there is nobody to take it. */
        DROPPED
    }

    /**
     * Returns how many pairs of queues can be used. May be called on any thread.
     *
     * @return the greatest number of pairs, 1 or more; never changes
     */
    int maxQueuePairs();

    /**
     * Returns what the guest may leave to the backend, and the backend to a guest that agrees. May be called on any thread.
     *
     * @return the offloads; never changes
     */
    Set<Offload> offloads();

    /**
     * Tells whether the cable is plugged in. May be called on any thread.
     *
     * @return the state
     */
    LinkState link();

    /**
     * Begins: the guest's driver is ready. With one pair in use and no offload that the guest accepts, until told otherwise.
     *
     * @param loop where the events are to be told
     * @param events who is told
     */
    void start(EventLoop loop, Events events);

    /**
     * Takes note of what the guest accepts to have left to it. A frame that leaves more is lost or, for a checksum, completed by the device.
     *
     * @param accepted some of {@link #offloads()}
     */
    void guestAccepts(Set<Offload> accepted);

    /**
     * Takes note of how many pairs the guest uses: those from 0 on.
     *
     * @param pairs the count, 1 to {@link #maxQueuePairs()}
     */
    void usePairs(int pairs);

    /**
     * Sends a frame of the guest.
     *
     * @param pair the pair, from 0
     * @param frame the frame, not to be changed, good until the return
     * @return what became of it
     */
    Sent send(int pair, Frame frame);

    /**
     * Takes the next frame for the guest. Once there was none, {@link Events#readable} follows when there is.
     *
     * @param pair the pair, from 0
     * @param room where its bytes go, and its header; good until the return
     * @return the frame's length in bytes; 0 if there is none; more than the room if it did not fit, and then it is lost
     */
    long receive(int pair, Frame room);

    /** Ends: the driver is gone. No event is told any more. May be started again. */
    void stop();

    /** Gives back everything. Called on any thread, after {@link #stop} if it was started. Closing twice does nothing. */
    @Override
    void close();
}
