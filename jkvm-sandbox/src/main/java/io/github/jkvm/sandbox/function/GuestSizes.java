package io.github.jkvm.sandbox.function;

/**
 * How large the parts of a guest are.
 *
 * @param memory bytes of memory in all
 * @param processors how many processors there are
 * @param stack bytes of each one's stack
 * @param message bytes of each one's call page with the room behind it
 */
public record GuestSizes(long memory, int processors, long stack, long message) {
    /** 16 MiB, one processor, stacks of 64 KiB, messages of 256 KiB. */
    public static final GuestSizes DEFAULT = new GuestSizes(16 << 20, 1, 64 << 10, 256 << 10);

    private static final long MAX_PART = 1L << 30;

    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if one is out of range
     */
    public GuestSizes {
        check("memory", memory, MemoryPlan.MAX_MEMORY);
        check("a stack", stack, MAX_PART);
        check("a message", message, MAX_PART);
    }

    private static void check(String what, long bytes, long most) {
        if (bytes <= 0 || bytes > most || bytes % GuestImage.PAGE != 0) {
            throw new IllegalArgumentException(what + " of " + bytes + " bytes must be a multiple of " + GuestImage.PAGE
                    + " from " + GuestImage.PAGE + " to " + most);
        }
    }

    /**
     * Returns the same with other memory.
     *
     * @param bytes the number
     * @return the sizes
     */
    public GuestSizes withMemory(long bytes) {
        return new GuestSizes(bytes, processors, stack, message);
    }

    /**
     * Returns the same with another number of processors.
     *
     * @param count the number
     * @return the sizes
     */
    public GuestSizes withProcessors(int count) {
        return new GuestSizes(memory, count, stack, message);
    }

    /**
     * Returns the same with other stacks.
     *
     * @param bytes the number
     * @return the sizes
     */
    public GuestSizes withStack(long bytes) {
        return new GuestSizes(memory, processors, bytes, message);
    }

    /**
     * Returns the same with other messages.
     *
     * @param bytes the number
     * @return the sizes
     */
    public GuestSizes withMessage(long bytes) {
        return new GuestSizes(memory, processors, stack, bytes);
    }
}
