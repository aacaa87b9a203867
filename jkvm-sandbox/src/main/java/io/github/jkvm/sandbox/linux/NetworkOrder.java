package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.GuestAddress;
import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What a guest's agent is to make of its interface to a network.
 *
 * @param address what it is known by there; if empty, its driver is started and that is all
 */
record NetworkOrder(Optional<GuestAddress> address) {
    private static final byte[] NO_ADDRESS = new byte[4];

    /**
     * Has it done.
     *
     * @throws SandboxException if the guest can't
     * @throws AgentFault if the guest does not answer as the agent does
     */
    void carryOut(LinuxGuest guest, Duration timeout) {
        try (var connection = new AgentConnection(guest.connect(timeout))) {
            connection.send(FrameType.NETWORK, this::put);
            Frame answer = connection.read();
            switch (answer.type()) {
                case DONE -> answer.checkSize(0);
                case FAILED -> throw new SandboxException("the guest's network can't be set up: " + answer.failure());
                default -> throw answer.unexpected();
            }
        } catch (IOException e) {
            throw new AgentFault("the guest's agent does not answer: " + e.getMessage(), e);
        }
    }

    /** The agent's {@code wire.h} says what is where. */
    void put(ByteBuffer out) {
        out.put((byte) (int) address.map(GuestAddress::prefixLength).orElse(0));
        out.put(address.map(own -> own.address().getAddress()).orElse(NO_ADDRESS));
        out.put(address.flatMap(GuestAddress::gateway)
                .map(InetAddress::getAddress)
                .orElse(NO_ADDRESS));
        address.ifPresent(own -> out.put(resolvers(own).getBytes(StandardCharsets.US_ASCII)));
    }

    /** The file of resolv.conf(5). */
    private static String resolvers(GuestAddress own) {
        return own.resolvers().stream()
                .map(server -> "nameserver " + server.getHostAddress() + "\n")
                .collect(Collectors.joining());
    }
}
