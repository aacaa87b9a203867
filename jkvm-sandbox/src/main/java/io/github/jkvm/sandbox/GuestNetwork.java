package io.github.jkvm.sandbox;

import io.github.jkvm.virtio.net.NetBackend;
import java.util.Objects;
import java.util.Optional;

/**
 * A network that a Linux guest is connected to with its interface {@code eth0}. Each is for one guest: every start of a guest, be it by a restore or a copy,
 * needs another (see {@link LinuxSandboxBuilder#network}).
 *
 * <p>The interface has a random MAC address, locally administered, another one with each start. If an address is given, the interface has it and is up before
 * the first command runs; if not, the interface is down, and commands set it up as they like.
 */
public sealed interface GuestNetwork {
    /**
     * Returns what the guest is known by there.
     *
     * @return the address; empty if commands see to it
     */
    Optional<GuestAddress> address();

    /**
     * Returns a network that is an interface of the host: what the guest sends arrives there, as with
     * {@link io.github.jkvm.virtio.net.TapBackend#open(String)}.
     *
     * @param interfaceName its name, such as {@code tap0}
     * @return the network
     */
    static Tap tap(String interfaceName) {
        return new Tap(interfaceName, Optional.empty());
    }

    /**
     * Returns a network that is whatever a backend is connected to, such as a port of a {@link io.github.jkvm.virtio.net.Switch}.
     *
     * @param backend the backend, closed with the guest
     * @return the network
     */
    static Attached of(NetBackend backend) {
        return new Attached(backend, Optional.empty());
    }

    /**
     * An interface of the host.
     *
     * @param interfaceName its name, such as {@code tap0}
     * @param address what the guest is known by there
     */
    record Tap(String interfaceName, Optional<GuestAddress> address) implements GuestNetwork {
        /** Checks that nothing is null. */
        public Tap {
            Objects.requireNonNull(interfaceName, "interfaceName");
            Objects.requireNonNull(address, "address");
        }

        /**
         * Returns this network, with what the guest is known by there.
         *
         * @param own the guest's address
         * @return the network
         */
        public Tap withAddress(GuestAddress own) {
            return new Tap(interfaceName, Optional.of(own));
        }
    }

    /**
     * What a backend is connected to.
     *
     * @param backend the backend, closed with the guest
     * @param address what the guest is known by there
     */
    record Attached(NetBackend backend, Optional<GuestAddress> address) implements GuestNetwork {
        /** Checks that nothing is null. */
        public Attached {
            Objects.requireNonNull(backend, "backend");
            Objects.requireNonNull(address, "address");
        }

        /**
         * Returns this network, with what the guest is known by there.
         *
         * @param own the guest's address
         * @return the network
         */
        public Attached withAddress(GuestAddress own) {
            return new Attached(backend, Optional.of(own));
        }
    }
}
