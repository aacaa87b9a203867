package io.github.jkvm;

import io.github.jkvm.spi.HypervisorProvider;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;

/**
 * The host's ability to run virtual machines.
 *
 * <pre>{@code
 * try (var hypervisor = Hypervisor.open();
 *         var vm = hypervisor.createVm()) {
 *     var ram = vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(64 * 1024));
 *     var vcpu = vm.createVCpu(0);
 *     ...
 * }
 * }</pre>
 *
 * <p>Safe for use by many threads. Closing it closes every VM made from it.
 */
public interface Hypervisor extends AutoCloseable {

    /**
     * Opens the first backend that works on this host.
     *
     * @return an open hypervisor
     * @throws HypervisorUnavailableException if none does; the text tells, for each backend, why not and what to type
     */
    static Hypervisor open() {
        List<String> reasons = new ArrayList<>();
        for (HypervisorProvider provider : ServiceLoader.load(HypervisorProvider.class)) {
            Availability availability = provider.availability();
            if (availability.available()) {
                return provider.open();
            }
            reasons.add(provider.name() + ": " + availability.reason());
        }
        throw new HypervisorUnavailableException(explain(reasons));
    }

    /**
     * Tells whether {@link #open()} would succeed, and why not.
     *
     * @return the answer of the first backend that works, or the reasons of all that don't
     */
    static Availability available() {
        List<String> reasons = new ArrayList<>();
        for (HypervisorProvider provider : ServiceLoader.load(HypervisorProvider.class)) {
            Availability availability = provider.availability();
            if (availability.available()) {
                return availability;
            }
            reasons.add(provider.name() + ": " + availability.reason());
        }
        return Availability.no(explain(reasons));
    }

    private static String explain(List<String> reasons) {
        return reasons.isEmpty()
                ? "no hypervisor backend on the class path or module path; add the dependency io.github.jkvm:jkvm-kvm-linux"
                : String.join("; ", reasons);
    }

    /**
     * Returns what kind of hypervisor this is and its version, for a person to read.
     *
     * @return a text such as {@code KVM API 12 (/dev/kvm)}
     */
    String description();

    /**
     * Tells whether the host has a capability.
     *
     * @param capability what is asked for
     * @return true if it has
     * @throws IllegalStateException if this hypervisor is closed
     */
    boolean supports(Capability capability);

    /**
     * Returns the highest number of vCPUs one VM can have.
     *
     * @return the limit, at least 1
     * @throws IllegalStateException if this hypervisor is closed
     */
    int maxVCpus();

    /**
     * Returns the highest number of memory regions one VM can have.
     *
     * @return the limit, at least 1
     * @throws IllegalStateException if this hypervisor is closed
     */
    int maxMemoryRegions();

    /**
     * Creates a VM with no memory, no vCPUs and no devices.
     *
     * @return the VM, to be closed by the caller
     * @throws IllegalStateException if this hypervisor is closed
     * @throws HypervisorException if the host refuses
     */
    Vm createVm();

    /**
     * Creates zeroed bytes that memory of guests can begin as ({@link MemoryBacking#copyOf}). They take memory of the host only where something was
     * written.
     *
     * @param size size in bytes, a multiple of the page size
     * @param name a name for it that the host shows, without NUL, at most 249 bytes
     * @return the image, to be closed by the caller; closing the hypervisor does not close it
     * @throws IllegalArgumentException if the size or the name is out of range
     * @throws IllegalStateException if this hypervisor is closed
     * @throws HypervisorException if the host can't give the memory
     */
    MemoryImage createMemoryImage(long size, String name);

    /**
     * Opens a file as an image that memory of guests can begin as. The image has the file itself, whatever becomes of its name.
     *
     * @param file a file whose size is a multiple of the page size, and which nobody changes or cuts short as long as the image or a copy of it is there
     * @return the image, whose bytes can only be read, to be closed by the caller; closing the hypervisor does not close it
     * @throws IllegalArgumentException if the file's size is out of range
     * @throws IllegalStateException if this hypervisor is closed
     * @throws HypervisorException if the file is not there, or can't be read or mapped
     */
    MemoryImage openMemoryImage(Path file);

    /** Closes every VM made from this hypervisor, then the hypervisor itself. Closing twice does nothing. */
    @Override
    void close();
}
