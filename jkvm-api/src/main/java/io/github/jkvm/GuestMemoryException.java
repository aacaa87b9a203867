package io.github.jkvm;

/**
 * An access to guest-physical memory that is not all inside memory regions.
 *
 * <p>A device that follows an address given by the guest expects this exception and treats it as the guest's mistake.
 */
public final class GuestMemoryException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /** First byte of the refused access, unsigned. */
    private final long address;

    /** Length of the refused access in bytes. */
    private final long length;

    /**
     * Creates an exception.
     *
     * @param address guest-physical address of the first byte of the access, unsigned
     * @param length length of the access in bytes
     * @param detail what memory there is instead
     */
    public GuestMemoryException(long address, long length, String detail) {
        super("guest memory access of " + length + " bytes at 0x" + Long.toHexString(address) + ": " + detail);
        this.address = address;
        this.length = length;
    }

    /**
     * Returns where the access began.
     *
     * @return the guest-physical address, unsigned
     */
    public long address() {
        return address;
    }

    /**
     * Returns how long the access was.
     *
     * @return the length in bytes
     */
    public long length() {
        return length;
    }
}
