package io.github.jkvm.virtio.rng;

import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.ffi.EntropyCalls;
import io.github.jkvm.kvm.ffi.Errno;
import java.lang.foreign.MemorySegment;

/** The random bytes of the kernel. */
final class HostEntropy implements EntropySource {
    static final HostEntropy INSTANCE = new HostEntropy();

    private HostEntropy() {}

    @Override
    public void fill(MemorySegment target) {
        long size = target.byteSize();
        for (long done = 0; done < size; ) {
            long count = EntropyCalls.getrandom(target.asSlice(done), size - done, 0);
            if (count < 0 && count != -Errno.EINTR) {
                throw KvmException.of("getrandom", size + " bytes", (int) -count);
            }
            done += Math.max(0, count);
        }
    }
}
