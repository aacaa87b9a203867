package io.github.jkvm.sandbox.linux;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;

/** The program in the guest. */
final class Agent {
    /** The port it listens on, and the host's port that it connects to once it does. */
    static final int PORT = 1024;

    static final int READY_PORT = 1024;

    static final int VERSION = 3;

    /** Twice what the kernel's generator has (Linux, drivers/char/random.c). */
    private static final int ENTROPY = 64;

    private static final SecureRandom RANDOM = new SecureRandom();

    /** A connection of before the snapshot's end is reset by the guest when it learns of it; so may be one that comes just before that. */
    private static final int TRIES = 5;

    private Agent() {}

    /** Returns the program. */
    static byte[] program() {
        try (InputStream file = Objects.requireNonNull(
                Agent.class.getResourceAsStream("agent"), "the agent is missing from the jar of jkvm-sandbox")) {
            return file.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("the agent can't be read from the jar of jkvm-sandbox", e);
        }
    }

    /**
     * Tells a guest that goes on from a snapshot the time, and gives it random numbers of its own. Nothing else may be asked of it before.
     *
     * @throws AgentFault if the guest does not answer as the agent does
     */
    static void prepare(LinuxGuest guest, Duration timeout) {
        for (int tries = 1; ; tries++) {
            try {
                prepareOnce(guest, timeout);
                return;
            } catch (AgentFault fault) {
                if (tries == TRIES) {
                    throw fault;
                }
            }
        }
    }

    private static void prepareOnce(LinuxGuest guest, Duration timeout) {
        try (var connection = new AgentConnection(guest.connect(timeout))) {
            byte[] entropy = new byte[ENTROPY];
            RANDOM.nextBytes(entropy);
            Instant now = Instant.now();
            connection.send(
                    FrameType.PREPARE,
                    out -> out.putLong(now.getEpochSecond())
                            .putInt(now.getNano())
                            .put(entropy));
            Frame answer = connection.read();
            if (answer.type() != FrameType.READY) {
                throw answer.unexpected();
            }
            int version = answer.checkSize(Integer.BYTES).payload().getInt();
            if (version != VERSION) {
                throw new AgentFault("the guest's agent is of version " + version + ", and not " + VERSION);
            }
        } catch (IOException e) {
            throw new AgentFault("the guest's agent does not answer: " + e.getMessage(), e);
        }
    }
}
