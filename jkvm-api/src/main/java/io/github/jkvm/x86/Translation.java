package io.github.jkvm.x86;

/**
 * Where a linear address leads ({@code struct kvm_translation}).
 *
 * @param physicalAddress the guest-physical address
 * @param valid 1 if the address is mapped
 * @param writeable 1 if the page may be written
 * @param usermode 1 if user code may access it
 */
public record Translation(long physicalAddress, int valid, int writeable, int usermode) {}
