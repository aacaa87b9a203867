/** Tests with virtual machines. */
module io.github.jkvm.testkit {
    requires static org.jspecify;
    requires transitive io.github.jkvm;
    requires transitive org.junit.jupiter.api;
    requires org.junit.platform.commons;

    exports io.github.jkvm.testkit;
}
