package io.github.jkvm.testkit;

/**
 * One exit of a guest, for a test to compare with and a person to read.
 *
 * @param kind what it was
 * @param address the port or the guest-physical address; 0 for kinds that have none
 * @param size the size of the access in bytes; 0 for kinds that have none
 * @param value what was written or read, little-endian; 0 for kinds that have none
 */
public record GuestExit(ExitKind kind, long address, int size, long value) {

    /**
     * Returns a write of one byte to a port.
     *
     * @param port the port, 0 to 65535
     * @param value the byte
     * @return the exit
     */
    public static GuestExit portOut(int port, int value) {
        return new GuestExit(ExitKind.PORT_OUT, port, 1, value & 0xFF);
    }

    /**
     * Returns a read of one byte from a port.
     *
     * @param port the port, 0 to 65535
     * @param value the byte that the guest got
     * @return the exit
     */
    public static GuestExit portIn(int port, int value) {
        return new GuestExit(ExitKind.PORT_IN, port, 1, value & 0xFF);
    }

    /**
     * Returns a write where there is no memory.
     *
     * @param address the guest-physical address
     * @param size 1, 2, 4 or 8 bytes
     * @param value what was written
     * @return the exit
     */
    public static GuestExit mmioWrite(long address, int size, long value) {
        return new GuestExit(ExitKind.MMIO_WRITE, address, size, value);
    }

    /**
     * Returns a read where there is no memory.
     *
     * @param address the guest-physical address
     * @param size 1, 2, 4 or 8 bytes
     * @param value what the guest got
     * @return the exit
     */
    public static GuestExit mmioRead(long address, int size, long value) {
        return new GuestExit(ExitKind.MMIO_READ, address, size, value);
    }

    /**
     * Returns a halt.
     *
     * @return the exit
     */
    public static GuestExit halt() {
        return of(ExitKind.HALT);
    }

    /**
     * Returns an exit of a kind that has neither address nor value.
     *
     * @param kind what it was
     * @return the exit
     */
    static GuestExit of(ExitKind kind) {
        return new GuestExit(kind, 0, 0, 0);
    }

    /** Returns it as one line, such as {@code port 0x3f8 <- 0x41 (1 byte)}. */
    @Override
    public String toString() {
        return switch (kind) {
            case PORT_OUT -> "port " + hex(address) + " <- " + hex(value) + bytes();
            case PORT_IN -> "port " + hex(address) + " -> " + hex(value) + bytes();
            case MMIO_WRITE -> "memory " + hex(address) + " <- " + hex(value) + bytes();
            case MMIO_READ -> "memory " + hex(address) + " -> " + hex(value) + bytes();
            case HALT -> "halt";
            case SHUTDOWN -> "shutdown (triple fault)";
            case INTERRUPTED -> "interrupted";
            case OTHER -> "another exit";
        };
    }

    private String bytes() {
        return size == 1 ? " (1 byte)" : " (" + size + " bytes)";
    }

    private static String hex(long number) {
        return "0x" + Long.toHexString(number);
    }
}
