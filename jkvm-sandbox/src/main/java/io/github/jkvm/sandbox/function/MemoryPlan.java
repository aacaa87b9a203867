package io.github.jkvm.sandbox.function;

/**
 * Where in the guest's memory things lie. All of the memory is one region from {@link GuestImage#BASE} on, at the same linear and physical addresses:
 * first the program and the types that the host adds, then the heaps, and at the end for each processor a page that nobody may touch, its stack and its
 * call page with the room behind it; and last what only the processor itself uses. Below the region there is nothing, so that what goes through a null
 * pointer ends the guest.
 */
final class MemoryPlan {
    /** Most memory of a guest: x86 has other things below 4 GiB that some processors need for themselves. */
    static final long MAX_MEMORY = 2L << 30;

    /** Size of a large page, in bytes. */
    static final long LARGE_PAGE = 2 << 20;

    /** Bytes for each processor's task state and the stack that its exceptions are put on. */
    static final int TASK_BYTES = 512;

    private static final long GIB = 1L << 30;
    private static final long LEAST_HEAP = 4096;

    private final long memory;
    private final int processors;
    private final long stack;
    private final long message;
    private final long typesStart;
    private final long heapStart;
    private final long heapEnd;
    private final long system;
    private final long tables;

    /**
     * Places everything.
     *
     * @param programEnd address behind the program, a multiple of the page size
     * @param typesEnd address behind the types, which follow it
     * @param sizes how large the parts are
     */
    MemoryPlan(long programEnd, long typesEnd, GuestSizes sizes) {
        this.memory = sizes.memory();
        this.processors = sizes.processors();
        this.stack = sizes.stack();
        this.message = sizes.message();
        this.typesStart = programEnd;
        this.heapStart = GuestImage.pageEnd(typesEnd);
        long tasks = GuestImage.PAGE + GuestImage.pageEnd((long) processors * TASK_BYTES);
        long count = 0;
        long wanted = tablesFor(heapStart, end());
        long systemAt = 0;
        // More tables take memory, which may take one more table: that ends, as each can map 512 pages.
        while (wanted > count) {
            count = wanted;
            systemAt = end() - tasks - count * GuestImage.PAGE;
            wanted = tablesFor(heapStart, systemAt - processors * perProcessor());
        }
        this.system = systemAt;
        this.tables = systemAt + tasks;
        this.heapEnd = systemAt - processors * perProcessor();
        if (heapEnd - heapStart < processors * LEAST_HEAP) {
            long needed = memory + processors * LEAST_HEAP - (heapEnd - heapStart);
            throw new BadGuestException("it needs " + needed + " bytes of memory with " + processors
                    + " vCPUs, stacks of " + stack + " and messages of " + message + " bytes, and was given " + memory
                    + "; give it more");
        }
    }

    /** How many page tables there are: a root, one below it, one for each GiB, and one for each 2 MiB that are not all heap. */
    private long tablesFor(long heapFrom, long heapTo) {
        long all = (end() - GuestImage.BASE + LARGE_PAGE - 1) / LARGE_PAGE;
        long first = (heapFrom + LARGE_PAGE - 1) & -LARGE_PAGE;
        long large = Math.max(0, ((heapTo & -LARGE_PAGE) - first) / LARGE_PAGE);
        return 2 + (end() + GIB - 1) / GIB + all - large;
    }

    /** The stack, its guard and the call page with its room. */
    private long perProcessor() {
        return GuestImage.PAGE + stack + message;
    }

    /** Address behind the memory. */
    long end() {
        return GuestImage.BASE + memory;
    }

    /** Bytes of memory in all. */
    long memory() {
        return memory;
    }

    int processors() {
        return processors;
    }

    /** Bytes of a processor's call page with the room behind it. */
    long messageBytes() {
        return message;
    }

    long typesStart() {
        return typesStart;
    }

    /** Where the heaps begin, behind the types. */
    long heapStart() {
        return heapStart;
    }

    /** Address behind the last heap. */
    long heapEnd() {
        return heapEnd;
    }

    /** Where a processor's heap begins. */
    long heap(int processor) {
        return heapStart + (heapEnd - heapStart) / processors / GuestImage.PAGE * GuestImage.PAGE * processor;
    }

    /** Where the page below a processor's stack is, which nobody may touch. */
    long guard(int processor) {
        return heapEnd + processor * perProcessor();
    }

    /** Address behind a processor's stack: that of its call page. */
    long page(int processor) {
        return guard(processor) + GuestImage.PAGE + stack;
    }

    /** Where the processors' descriptor tables are, for no eyes of the guest. */
    long system() {
        return system;
    }

    /** Where a processor's task state is. */
    long task(int processor) {
        return system + GuestImage.PAGE + (long) processor * TASK_BYTES;
    }

    /** Where the page tables are. */
    long tables() {
        return tables;
    }
}
