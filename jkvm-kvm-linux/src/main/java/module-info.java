/**
 * The Linux KVM backend of jkvm, found through {@link java.util.ServiceLoader}.
 *
 * <p>The JVM must allow it native access: {@code --enable-native-access=io.github.jkvm.kvm}, or {@code ALL-UNNAMED} on the class path.
 *
 * @provides io.github.jkvm.spi.HypervisorProvider
 */
@SuppressWarnings("module") // the module that the qualified export names is built later
module io.github.jkvm.kvm {
    requires static org.jspecify;
    requires transitive io.github.jkvm;

    exports io.github.jkvm.kvm;
    exports io.github.jkvm.kvm.ffi to
            io.github.jkvm.virtio;

    provides io.github.jkvm.spi.HypervisorProvider with
            io.github.jkvm.kvm.KvmProvider;
}
