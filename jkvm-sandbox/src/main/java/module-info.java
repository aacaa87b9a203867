/** Sandboxes: virtual machines for code that nobody trusts. */
module io.github.jkvm.sandbox {
    requires static org.jspecify;
    requires transitive io.github.jkvm.machine;
    requires transitive io.github.jkvm.virtio;
    requires transitive io.github.jkvm;
    requires java.management;
    requires com.fasterxml.jackson.core;

    exports io.github.jkvm.sandbox;
}
