/** Virtio devices: the queue engine, the transports, and the devices. */
module io.github.jkvm.virtio {
    requires static org.jspecify;
    requires io.github.jkvm.kvm;
    requires jdk.jfr;
    requires transitive io.github.jkvm;

    exports io.github.jkvm.virtio;
    exports io.github.jkvm.virtio.balloon;
    exports io.github.jkvm.virtio.block;
    exports io.github.jkvm.virtio.console;
    exports io.github.jkvm.virtio.fs;
    exports io.github.jkvm.virtio.net;
    exports io.github.jkvm.virtio.pmem;
    exports io.github.jkvm.virtio.queue;
    exports io.github.jkvm.virtio.rng;
    exports io.github.jkvm.virtio.vhost;
    exports io.github.jkvm.virtio.vsock;
}
