/** Tests with virtual machines. */
module io.github.jkvm.testkit {
    requires static org.jspecify;
    requires transitive io.github.jkvm;
    requires transitive io.github.jkvm.machine;
    requires transitive io.github.jkvm.testkit.virtio;
    requires io.github.jkvm.virtio;
    requires org.apache.commons.compress;
    requires transitive org.assertj.core;
    requires transitive org.junit.jupiter.api;
    requires org.junit.platform.commons;
    requires org.opentest4j;

    exports io.github.jkvm.testkit;
    exports io.github.jkvm.testkit.asm;
    exports io.github.jkvm.testkit.linux;
    exports io.github.jkvm.testkit.scripted;
}
