package io.github.jkvm;

/**
 * Where a device sits that guests don't find by probing but are told of, in ACPI tables, a device tree or on the command line.
 *
 * @param hardwareId what the guest knows the device by, such as the ACPI id {@code LNRO0005}
 * @param index its position among the slots of the bus, from 0
 * @param base guest-physical address of its first register
 * @param size size of its registers in bytes
 * @param gsi number of its edge-triggered interrupt
 */
public record PlatformSlot(String hardwareId, int index, GuestAddress base, long size, int gsi) {}
