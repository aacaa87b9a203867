package io.github.jkvm;

/**
 * The registers of a device, as the guest's loads, stores, {@code in} and {@code out} reach them.
 *
 * <p>Called on the vCPU's thread while that vCPU waits, by several vCPUs at the same time if the guest does so. Must not throw, whatever
 * the guest does: an exception ends the vCPU's run. Handles every offset and size in its range.
 */
public interface IoHandler {

    /** What a bus gives where nothing answers: all ones. */
    long OPEN_BUS = -1;

    /**
     * Reads registers.
     *
     * @param offset first byte, relative to the start of the range
     * @param size number of bytes, 1 to 8: a guest can make odd ones too
     * @return the value, little-endian, in the low {@code size} bytes; higher bits are ignored
     */
    long read(long offset, int size);

    /**
     * Writes registers.
     *
     * @param offset first byte, relative to the start of the range
     * @param size number of bytes, 1 to 8: a guest can make odd ones too
     * @param value the value, little-endian; bits above {@code size} bytes are zero
     */
    void write(long offset, int size, long value);
}
