package io.github.jkvm.virtio.block;

import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.IoVectors;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.virtio.queue.ChainPart;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The data of one request as one system call takes it, where it lies in guest memory. Each thread has its own and fills it for the request that it
 * executes, which allocates nothing.
 */
final class RequestVectors implements ChainPart {
    private static final ThreadLocal<RequestVectors> OF_THREAD = ThreadLocal.withInitial(RequestVectors::new);

    private final IoVectors vectors = new IoVectors(Libc.IOV_MAX);

    /** That of the part shown last. */
    private @Nullable MemoryRegion region;

    private MemorySegment.@Nullable Scope scope;

    private RequestVectors() {}

    /**
     * Returns the calling thread's vectors, filled for a read or a write.
     *
     * @return null if that takes more than one call: for memory on the Java heap, or of several arenas, of which a call keeps one open, or in too
     *     many pieces
     */
    static @Nullable IoVectors of(BlockRequest request) {
        return OF_THREAD.get().fill(request);
    }

    private @Nullable IoVectors fill(BlockRequest request) {
        vectors.clear();
        region = null;
        scope = null;
        request.showData(this);
        // What was refused is missing.
        return vectors.bytes() == request.length() ? vectors : null;
    }

    @Override
    public boolean accept(MemoryRegion in, long offset, long length) {
        MemorySegment memory = in.segment();
        if (!in.equals(region)) {
            boolean reachable = memory.isNative() && (scope == null || scope.equals(memory.scope()));
            if (!reachable) {
                return false;
            }
            region = in;
            scope = memory.scope();
        }
        if (vectors.count() == Libc.IOV_MAX) {
            return false;
        }
        vectors.add(memory, offset, length);
        return true;
    }
}
