package io.github.jkvm.kvm;

import io.github.jkvm.Availability;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.HypervisorUnavailableException;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.spi.HypervisorProvider;
import java.nio.file.Path;

/**
 * Finds KVM on this host.
 *
 * <p>System properties: {@value #DEVICE_PROPERTY} is the path of the device, {@code /dev/kvm} if it is not set; {@code jkvm.kvm.signal} is the number
 * of the real-time signal that makes a thread leave the guest, 40 if it is not set.
 */
public final class KvmProvider implements HypervisorProvider {
    /** System property with the path of the device. */
    public static final String DEVICE_PROPERTY = "jkvm.kvm.device";

    /** Creates the provider. It does nothing yet. */
    public KvmProvider() {}

    @Override
    public String name() {
        return "kvm";
    }

    @Override
    public Availability availability() {
        Path path = KvmDeviceFile.path();
        try (OwnedFd device = KvmDeviceFile.open(path)) {
            KvmDeviceFile.tryVm(path, device);
            return Availability.yes("KVM API " + KvmDeviceFile.API_VERSION + " (" + path + ")");
        } catch (HypervisorException whyNot) {
            return Availability.no(String.valueOf(whyNot.getMessage()));
        }
    }

    @Override
    public Hypervisor open() {
        Path path = KvmDeviceFile.path();
        OwnedFd device = KvmDeviceFile.open(path);
        try {
            KvmDeviceFile.tryVm(path, device);
            return KvmHypervisor.of(path, device);
        } catch (RuntimeException | Error failure) {
            device.close();
            if (failure instanceof KvmException refused) {
                throw new HypervisorUnavailableException(String.valueOf(refused.getMessage()), refused);
            }
            throw failure;
        }
    }
}
