package io.github.jkvm.machine.boot;

/** How an image says where it wants to lie and how to be entered. */
public enum KernelFormat {
    /** Plain code without a header. */
    FLAT("flat image"),
    /** ELF program, entered where its header says. */
    ELF("ELF program"),
    /** Multiboot 1, as ELF or with addresses in its header. */
    MULTIBOOT("multiboot 1"),
    /** ELF with a Xen note that names a 32-bit entry (PVH). */
    PVH("ELF with PVH note"),
    /** Linux bzImage, entered by the 64-bit boot protocol. */
    BZIMAGE("bzImage");

    private final String title;

    KernelFormat(String title) {
        this.title = title;
    }

    /** Returns the name as people write it. */
    @Override
    public String toString() {
        return title;
    }
}
