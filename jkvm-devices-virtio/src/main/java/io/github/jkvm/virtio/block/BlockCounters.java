package io.github.jkvm.virtio.block;

import io.github.jkvm.virtio.Counter;
import java.util.function.Function;

/** What a block device counts. */
final class BlockCounters {
    final Counter throttled;
    final Counter servedOnLoop;
    private final Counter reads;
    private final Counter writes;
    private final Counter flushes;
    private final Counter discards;
    private final Counter bytesRead;
    private final Counter bytesWritten;
    private final Counter errors;
    private final Counter readNanos;
    private final Counter writeNanos;

    BlockCounters(Function<String, Counter> counter) {
        reads = counter.apply("reads");
        writes = counter.apply("writes");
        flushes = counter.apply("flushes");
        discards = counter.apply("discards");
        bytesRead = counter.apply("bytesRead");
        bytesWritten = counter.apply("bytesWritten");
        errors = counter.apply("errors");
        throttled = counter.apply("throttled");
        servedOnLoop = counter.apply("servedOnLoop");
        readNanos = counter.apply("readNanos");
        writeNanos = counter.apply("writeNanos");
    }

    void count(BlockRequest request) {
        if (request.status() != BlockRequest.OK) {
            errors.increment();
            return;
        }
        switch (request.type()) {
            case READ -> {
                reads.increment();
                bytesRead.add(request.length());
                readNanos.add(request.nanos());
            }
            case WRITE -> {
                writes.increment();
                bytesWritten.add(request.length());
                writeNanos.add(request.nanos());
            }
            case FLUSH -> flushes.increment();
            case DISCARD, WRITE_ZEROES -> discards.increment();
            case GET_ID, UNKNOWN -> {}
        }
    }
}
