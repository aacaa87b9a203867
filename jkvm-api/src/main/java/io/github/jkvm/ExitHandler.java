package io.github.jkvm;

/**
 * Takes a vCPU's port and MMIO exits as plain numbers, so that {@link VCpu#run(ExitHandler)} allocates nothing for an exit.
 * {@link VmBus} is the usual one.
 *
 * <p>Called on the thread that runs the vCPU. A string instruction ({@code rep outsb}) arrives as one call for each element, in order. An
 * exception thrown from here passes through {@code run}; the access counts as done, reads as all ones.
 */
public interface ExitHandler {

    /**
     * The guest reads a port.
     *
     * @param port 0 to 0xffff
     * @param size number of bytes: 1, 2 or 4
     * @return the value in the low bytes
     */
    long portIn(int port, int size);

    /**
     * The guest writes a port.
     *
     * @param port 0 to 0xffff
     * @param size number of bytes: 1, 2 or 4
     * @param value the value, with no bits above {@code size} bytes
     */
    void portOut(int port, int size, long value);

    /**
     * The guest reads memory that is no memory region.
     *
     * @param address guest-physical, unsigned
     * @param size number of bytes, 1 to 8
     * @return the value, little-endian, in the low bytes
     */
    long mmioRead(long address, int size);

    /**
     * The guest writes memory that is no memory region, or only readable.
     *
     * @param address guest-physical, unsigned
     * @param size number of bytes, 1 to 8
     * @param value the value, little-endian, with no bits above {@code size} bytes
     */
    void mmioWrite(long address, int size, long value);
}
