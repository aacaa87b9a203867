/** Virtio: the queue engine that devices are built on. */
module io.github.jkvm.virtio {
    requires static org.jspecify;
    requires transitive io.github.jkvm;

    exports io.github.jkvm.virtio;
    exports io.github.jkvm.virtio.queue;
}
