package io.github.jkvm;

/**
 * What a guest knows a function by: the fixed fields of its configuration space (6.2.1).
 *
 * @param vendor the vendor of the function, 16 bits
 * @param device the device id, which the vendor gives, 16 bits
 * @param classCode base class, sub-class and programming interface, 24 bits, such as 0x010802 for NVMe
 * @param revision the revision, 8 bits
 * @param subsystemVendor the vendor of the card or virtual machine, 16 bits
 * @param subsystem the subsystem id, which that vendor gives, 16 bits
 */
public record PciIdentity(int vendor, int device, int classCode, int revision, int subsystemVendor, int subsystem) {
    private static final int NO_VENDOR = 0xFFFF;

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if one does not fit, or the vendor is 0xffff, which means that there is no function
     */
    public PciIdentity {
        check("vendor", vendor, Short.SIZE);
        check("device", device, Short.SIZE);
        check("class code", classCode, 24);
        check("revision", revision, Byte.SIZE);
        check("subsystem vendor", subsystemVendor, Short.SIZE);
        check("subsystem", subsystem, Short.SIZE);
        if (vendor == NO_VENDOR) {
            throw new IllegalArgumentException("PCI vendor 0xffff means that there is no function; choose another");
        }
    }

    private static void check(String what, int value, int bits) {
        if (value >>> bits != 0) {
            throw new IllegalArgumentException(
                    "PCI " + what + " 0x" + Integer.toHexString(value) + " must fit " + bits + " bits");
        }
    }
}
