package io.github.jkvm.sandbox.linux;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Where one of the two streams that a command writes goes. Called by one thread. */
public interface OutputSink {
    /** What takes part of the stream and wants more. */
    interface Credit {
        /** Says that bytes were taken, and that as many more may come. */
        void grant(int bytes);
    }

    /**
     * Says how more can be had.
     *
     * @param credit may be called from any thread
     */
    void begin(Credit credit);

    /**
     * Takes what has come.
     *
     * @param bytes good until the return
     * @throws IOException if it goes nowhere any more
     */
    void accept(ByteBuffer bytes) throws IOException;

    /** Says that no more comes: the stream has ended, or the command is over. */
    void end();
}
