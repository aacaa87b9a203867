/** The driver's side of virtio over plain memory, for tests of devices without a hypervisor. */
module io.github.jkvm.testkit.virtio {
    requires static org.jspecify;
    requires java.management;
    requires jdk.management;
    requires transitive io.github.jkvm;

    exports io.github.jkvm.testkit.virtio;
}
