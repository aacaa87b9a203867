package io.github.jkvm.machine.snapshot;

/**
 * By which a snapshot knows the one that it builds on.
 *
 * @param id a name that no other snapshot has
 * @param checksum a CRC-32C of the contents of its memory, and of the snapshots below it
 */
record Identity(String id, int checksum) {
    @Override
    public String toString() {
        return id + " (checksum " + String.format("%08x", checksum) + ")";
    }
}
