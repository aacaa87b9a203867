package io.github.jkvm.kvm;

import io.github.jkvm.kvm.ffi.OwnedFd;
import java.nio.file.Path;

final class KvmX86Hypervisor extends KvmHypervisor {
    KvmX86Hypervisor(Path path, OwnedFd device) {
        super(path, device);
    }
}
