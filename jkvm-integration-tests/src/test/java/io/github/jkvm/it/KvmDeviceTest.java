package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.Bytes;
import io.github.jkvm.kvm.DeviceAttributes;
import io.github.jkvm.kvm.KvmDevice;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import org.junit.jupiter.api.Test;

@RequiresKvm
class KvmDeviceTest {
    /** {@code KVM_DEV_TYPE_VFIO} (linux/kvm.h), the one device that x86 has. */
    private static final int VFIO = 4;

    /** {@code KVM_DEV_VFIO_GROUP} or {@code _FILE}, and its number 1, to add one. */
    private static final int VFIO_FILE = 1;

    private static final int VFIO_FILE_ADD = 1;

    /** {@code KVM_VCPU_TSC_CTRL} and {@code KVM_VCPU_TSC_OFFSET} (asm/kvm.h). */
    private static final int TSC_CONTROL = 0;

    private static final int TSC_OFFSET = 0;

    /** The descriptor -1. */
    private static final Bytes NO_FILE = Bytes.copyOf((byte) -1, (byte) -1, (byte) -1, (byte) -1);

    private static final int NO_SUCH_DEVICE = 999;

    @Test
    void aDeviceIsMadeAndAskedForItsAttributes() {
        try (MicroGuest guest = MicroGuest.builder().build()) {
            assumeTrue(KvmVm.of(guest.vm()).supportsDevice(VFIO), "this kernel has no VFIO device");
            try (KvmDevice device = KvmVm.of(guest.vm()).createDevice(VFIO)) {
                assertThat(device.type()).isEqualTo(VFIO);
                assertThat(device.attributes().has(VFIO_FILE, VFIO_FILE_ADD)).isTrue();
                assertThat(device.attributes().has(77, 0)).isFalse();
                assertThatThrownBy(() -> device.attributes().set(VFIO_FILE, VFIO_FILE_ADD, NO_FILE))
                        .isInstanceOf(KvmException.class)
                        .hasMessageContaining("KVM_SET_DEVICE_ATTR (device of type 4")
                        .hasMessageContaining("failed with EBADF");
                // Linux, virt/kvm/vfio.c, kvm_vfio_create: only one in a VM.
                assertThatThrownBy(() -> KvmVm.of(guest.vm()).createDevice(VFIO))
                        .isInstanceOf(KvmException.class)
                        .hasMessageContaining("failed with EBUSY");
            }
        }
    }

    @Test
    void tellsThatTheHostHasNoSuchDevice() {
        try (MicroGuest guest = MicroGuest.builder().build()) {
            assertThat(KvmVm.of(guest.vm()).supportsDevice(NO_SUCH_DEVICE)).isFalse();
            assertThatThrownBy(() -> KvmVm.of(guest.vm()).createDevice(NO_SUCH_DEVICE))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("KVM_CREATE_DEVICE (type 999) failed with ENODEV")
                    .hasMessageContaining("ask supportsDevice() first");
        }
    }

    @Test
    void aVCpuKeepsItsTscOffset() {
        try (MicroGuest guest = MicroGuest.builder().build()) {
            DeviceAttributes attributes = KvmVCpu.of(guest.vcpu()).attributes();
            assumeTrue(attributes.has(TSC_CONTROL, TSC_OFFSET), "this kernel does not let the TSC offset be set");
            assumeTrue(
                    attributes.get(TSC_CONTROL, TSC_OFFSET, Long.BYTES).toLong() != 0,
                    "this kernel does not give guests a TSC of their own");
            Bytes offset = Bytes.copyOf((byte) 1, (byte) 2, (byte) 3, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0);
            attributes.set(TSC_CONTROL, TSC_OFFSET, offset);
            assertThat(attributes.get(TSC_CONTROL, TSC_OFFSET, Long.BYTES)).isEqualTo(offset);
            // A size that is wrong does no harm: the kernel writes what the attribute has.
            assertThat(attributes.get(TSC_CONTROL, TSC_OFFSET, 1)).isEqualTo(Bytes.copyOf((byte) 1));
            assertThatThrownBy(() -> attributes.get(99, 0, 8))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("KVM_GET_DEVICE_ATTR (vCPU 0")
                    .hasMessageContaining("ask has() first");
            assertThatThrownBy(() -> attributes.get(TSC_CONTROL, TSC_OFFSET, -1))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }
}
