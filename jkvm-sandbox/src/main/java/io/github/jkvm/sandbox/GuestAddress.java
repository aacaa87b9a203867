package io.github.jkvm.sandbox;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What a Linux guest is known by on a {@link GuestNetwork}, and whom it asks there.
 *
 * <p>{@snippet lang = java :
 * GuestAddress.of("10.0.0.2/24").withGateway("10.0.0.1").withResolvers("10.0.0.1");
 * }
 *
 * @param address its address
 * @param prefixLength how many bits of the address are the network's, 1 to 32
 * @param gateway where packets for other networks go, in the same network; empty if there is no way to others
 * @param resolvers servers that know the addresses of names, at most {@value #MOST_RESOLVERS}: they become the guest's {@code /etc/resolv.conf}. If there are
 *     none, that file stays as it is in the root
 */
public record GuestAddress(
        Inet4Address address, int prefixLength, Optional<Inet4Address> gateway, List<InetAddress> resolvers) {
    /** As many as resolvers of the guest look at (resolv.conf(5), MAXNS). */
    public static final int MOST_RESOLVERS = 3;

    /** Addresses from 224.0.0.0 on are those of groups, or reserved (RFC 5771, RFC 1112): no interface has one. */
    private static final int FIRST_GROUP = 224;

    /**
     * Checks that Linux takes these values.
     *
     * @throws IllegalArgumentException if one is out of range, the address is no single station's, or the gateway is in another network
     */
    public GuestAddress {
        resolvers = List.copyOf(resolvers);
        if (prefixLength < 1 || prefixLength > Integer.SIZE) {
            throw new IllegalArgumentException("a network of " + prefixLength + " bits: it must be 1 to 32");
        }
        checkStation(address);
        Inet4Address own = address;
        int bits = prefixLength;
        gateway.ifPresent(station -> {
            checkStation(station);
            int differing = (bits(station) ^ bits(own)) >>> (Integer.SIZE - bits);
            if (differing != 0 || station.equals(own)) {
                throw new IllegalArgumentException("the gateway " + station.getHostAddress()
                        + " must be another station of the network of " + own.getHostAddress() + "/" + bits);
            }
        });
        if (resolvers.size() > MOST_RESOLVERS) {
            throw new IllegalArgumentException(
                    resolvers.size() + " resolvers: guests ask only the first " + MOST_RESOLVERS);
        }
    }

    private static void checkStation(Inet4Address address) {
        int first = Byte.toUnsignedInt(address.getAddress()[0]);
        if (first == 0 || first >= FIRST_GROUP) {
            throw new IllegalArgumentException("the address " + address.getHostAddress()
                    + " is no single station's; give one from 1.0.0.0 on below " + FIRST_GROUP + ".0.0.0");
        }
    }

    private static int bits(Inet4Address address) {
        int bits = 0;
        for (byte each : address.getAddress()) {
            bits = bits << Byte.SIZE | Byte.toUnsignedInt(each);
        }
        return bits;
    }

    /**
     * Reads an address, with no gateway and no resolvers.
     *
     * @param text the address and the network's bits, such as {@code 10.0.0.2/24}
     * @return the address
     * @throws IllegalArgumentException if it is written in another way, or out of range
     */
    public static GuestAddress of(String text) {
        int slash = text.indexOf('/');
        if (slash < 0 || !text.substring(slash + 1).matches("[0-9]{1,2}")) {
            throw new IllegalArgumentException(
                    "'" + text + "' is no address with the bits of its network; write it as in 10.0.0.2/24");
        }
        return new GuestAddress(
                Inet4Address.ofLiteral(text.substring(0, slash)),
                Integer.parseInt(text.substring(slash + 1)),
                Optional.empty(),
                List.of());
    }

    /**
     * Returns this with a gateway.
     *
     * @param literal its address, such as {@code 10.0.0.1}
     * @return the address
     * @throws IllegalArgumentException if it is no address, or one of another network
     */
    public GuestAddress withGateway(String literal) {
        return new GuestAddress(address, prefixLength, Optional.of(Inet4Address.ofLiteral(literal)), resolvers);
    }

    /**
     * Returns this with resolvers, in place of those that there are.
     *
     * @param literals their addresses, such as {@code 10.0.0.1} or {@code fd00::1}, at most {@value #MOST_RESOLVERS}
     * @return the address
     * @throws IllegalArgumentException if one is no address, or there are too many
     */
    public GuestAddress withResolvers(String... literals) {
        return new GuestAddress(
                address,
                prefixLength,
                gateway,
                Arrays.stream(literals)
                        .map(literal -> InetAddress.ofLiteral(Objects.requireNonNull(literal, "literal")))
                        .toList());
    }
}
