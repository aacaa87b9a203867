/**
 * The public contract of jkvm: virtual machines as Java objects.
 *
 * <p>The module holds no native code and depends on nothing but the JDK. A backend, such as the module
 * {@code io.github.jkvm.kvm}, is found at run time through {@link java.util.ServiceLoader}.
 */
module io.github.jkvm {
    requires static transitive org.jspecify;

    exports io.github.jkvm;
    exports io.github.jkvm.spi;
    exports io.github.jkvm.x86;

    uses io.github.jkvm.spi.HypervisorProvider;
}
