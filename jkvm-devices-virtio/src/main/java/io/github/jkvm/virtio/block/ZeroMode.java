package io.github.jkvm.virtio.block;

/** What becomes of the space behind a range that is made to read as zeros. */
public enum ZeroMode {
    /** It stays reserved, so that a later write to the range needs no more room. */
    KEEP,
    /** It may be given back to the host. */
    MAY_UNMAP
}
