package io.github.jkvm.virtio.block;

import io.github.jkvm.virtio.block.ImageFile.Waiting;
import org.jspecify.annotations.Nullable;

/**
 * Decides where a read or a write is executed: on the event loop, which saves two changes of threads, or by a worker, so that the loop does not
 * wait for the storage.
 *
 * <p>Of a raw disk in memory nothing ever waits. Where the kernel can tell for each call whether it would wait, the call is tried on the loop. Of
 * all else, reads and writes are each on trial: they stay on the loop until one of them holds it up; then they go to workers, until enough of them went
 * through there without waiting. How many are enough grows if the next on the loop is held up again, and shrinks with those that are not.
 */
final class ServicePolicy {
    /** What can be done with a request. */
    enum Way {
        ON_LOOP,
        /** On the loop if the file answers at once, else by a worker. */
        ON_LOOP_IF_AT_ONCE,
        BY_WORKER
    }

    /** Copying more than this takes so long that workers, which copy side by side, are worth their wake-up; in bytes. */
    private static final long MOST_ON_LOOP = 256 << 10;

    private final BlockDevice.Serving serving;
    private final @Nullable ImageFile file;
    private final long mostOnLoop;
    private final Trial reads = new Trial();
    private final Trial writes = new Trial();

    /** Creates a policy for an image, whose bytes are those of {@code file} if there is one. */
    ServicePolicy(BlockDevice.Serving serving, @Nullable ImageFile file) {
        this.serving = serving;
        this.file = file;
        // With one processor no worker runs beside the loop.
        this.mostOnLoop = Runtime.getRuntime().availableProcessors() == 1 ? Long.MAX_VALUE : MOST_ON_LOOP;
    }

    /** Decides about a request, which is executed next. */
    Way way(BlockRequest request) {
        if (serving != BlockDevice.Serving.ADAPTIVE) {
            return serving == BlockDevice.Serving.ON_LOOP ? Way.ON_LOOP : Way.BY_WORKER;
        }
        if (!isTransfer(request) || request.isWriteThrough() || request.length() > mostOnLoop) {
            return Way.BY_WORKER;
        }
        return switch (waiting(request)) {
            case NEVER -> Way.ON_LOOP;
            case ON_DEMAND -> Way.ON_LOOP_IF_AT_ONCE;
            case UNKNOWN -> {
                request.meter();
                yield trial(request).onLoop() ? Way.ON_LOOP : Way.BY_WORKER;
            }
        };
    }

    private Waiting waiting(BlockRequest request) {
        return file == null ? Waiting.UNKNOWN : file.waiting(request.direction());
    }

    /** Learns from a request that was executed, wherever that was. */
    void executed(BlockRequest request) {
        if (request.isMetered()) {
            trial(request).took(request.stalled());
        }
    }

    private Trial trial(BlockRequest request) {
        return request.type() == RequestType.READ ? reads : writes;
    }

    private static boolean isTransfer(BlockRequest request) {
        return request.type() == RequestType.READ || request.type() == RequestType.WRITE;
    }

    /** Whether requests of one direction are allowed on the loop. */
    private static final class Trial {
        private static final int FEWEST = 32;
        private static final int MOST = 4096;

        /** By how many those without a stall must outnumber the others to come back to the loop; 0 while on it. */
        private int needed;

        private int nextNeeded = FEWEST;

        /** Those without a stall, less the others if with the workers. */
        private int good;

        boolean onLoop() {
            return needed == 0;
        }

        void took(boolean stalled) {
            if (!onLoop()) {
                good = stalled ? Math.max(0, good - 1) : good + 1;
                if (good >= needed) {
                    needed = 0;
                    good = 0;
                }
            } else if (stalled) {
                needed = nextNeeded;
                nextNeeded = Math.min(nextNeeded * 2, MOST);
                good = 0;
            } else if (++good == MOST) {
                nextNeeded = Math.max(nextNeeded / 2, FEWEST);
                good = 0;
            }
        }
    }
}
