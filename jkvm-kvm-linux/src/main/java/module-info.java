/** The Linux KVM backend of jkvm. */
module io.github.jkvm.kvm {
    requires static org.jspecify;
    requires transitive io.github.jkvm;

    exports io.github.jkvm.kvm;
}
