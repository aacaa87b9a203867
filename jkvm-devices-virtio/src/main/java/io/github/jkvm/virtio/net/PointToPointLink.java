package io.github.jkvm.virtio.net;

/**
 * A cable between two virtual machines of one program. No frame is lost while both run: a sender waits until the other side has room.
 *
 * <p>{@snippet lang = java :
 * var cable = new PointToPointLink();
 * var left = NetDevice.builder("net0", cable.left()).build(); // for one machine
 * var right = NetDevice.builder("net0", cable.right()).build(); // for the other
 * }
 *
 * <p>Frames keep what is left to do on them: a checksum is only ever computed if one side does not agree to go without.
 */
public final class PointToPointLink {
    private static final int CAPACITY = 4 << 20;

    private final End left = new End("left");
    private final End right = new End("right");

    /** Creates a cable; each direction holds up to 4 MiB of frames. */
    public PointToPointLink() {
        left.peer = right;
        right.peer = left;
    }

    /**
     * Returns one end.
     *
     * @return the end, for one device
     */
    public NetBackend left() {
        return left;
    }

    /**
     * Returns the other end.
     *
     * @return the end, for one device
     */
    public NetBackend right() {
        return right;
    }

    /** One end, with the frames that the other one has sent. */
    static final class End extends RingPort {
        private final String name;
        private End peer = this;

        /** Whether the device here waits for the other side to have room. */
        private volatile boolean waits;

        End(String name) {
            super(CAPACITY);
            this.name = name;
        }

        @Override
        public LinkState link() {
            return LinkState.UP;
        }

        @Override
        public Sent send(int pair, Frame frame) {
            if (!peer.isStarted()) {
                return Sent.DROPPED;
            }
            if (!hasRoomFor(frame)) {
                waits = true;
                // There may be room since, with nobody told.
                if (peer.isStarted() && !hasRoomFor(frame)) {
                    return Sent.FULL;
                }
                waits = false;
            }
            return pass(frame, peer) ? Sent.TAKEN : Sent.DROPPED;
        }

        private boolean hasRoomFor(Frame frame) {
            long wanted =
                    peer.takesWhole(frame.header()) ? FrameRing.recordSize(frame.size()) : Segmenter.ringRoom(frame);
            return peer.arrived().room() >= wanted;
        }

        @Override
        void taken() {
            // Not before there is room for many, or the two sides would wake each other for each frame.
            if (peer.waits && arrived().room() >= CAPACITY / 2) {
                release();
            }
        }

        @Override
        public void stop() {
            super.stop();
            waits = false;
            release();
        }

        private void release() {
            if (peer.waits) {
                peer.waits = false;
                peer.tellWritable();
            }
        }

        @Override
        public void close() {
            stop();
        }

        /** Returns which end it is. */
        @Override
        public String toString() {
            return name + " end of a link";
        }
    }
}
