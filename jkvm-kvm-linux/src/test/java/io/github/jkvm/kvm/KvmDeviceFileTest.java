package io.github.jkvm.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.HypervisorUnavailableException;
import io.github.jkvm.kvm.ffi.Errno;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class KvmDeviceFileTest {
    private static final Path DEVICE = Path.of("/dev/kvm-of-a-test");

    @Test
    void eachReasonHasATextOfItsOwnThatSaysWhatToType() {
        Set<String> texts = Stream.of(Errno.ENOENT, Errno.EACCES, Errno.EBUSY, Errno.EMFILE, Errno.EIO)
                .map(errno -> KvmDeviceFile.explainOpen(DEVICE, errno))
                .collect(Collectors.toSet());
        assertThat(texts).hasSize(5).allMatch(text -> text.contains("/dev/kvm-of-a-test"));
        assertThat(KvmDeviceFile.explainOpen(DEVICE, Errno.ENOENT)).contains("sudo modprobe kvm_amd");
        assertThat(KvmDeviceFile.explainOpen(DEVICE, Errno.EACCES))
                .contains("sudo usermod -aG kvm ")
                .contains("sudo chmod o+rw /dev/kvm-of-a-test");
        assertThat(KvmDeviceFile.explainOpen(DEVICE, Errno.EBUSY)).contains("in use by another hypervisor");
        assertThat(KvmDeviceFile.explainOpen(DEVICE, Errno.EMFILE)).contains("ulimit -n");
        assertThat(KvmDeviceFile.explainOpen(DEVICE, Errno.EIO)).contains("EIO (5)");
    }

    @Test
    void aProcessorHeldByAnotherHypervisorIsNamed() {
        assertThat(KvmDeviceFile.explainCreate(DEVICE, Errno.EBUSY)).contains("sudo modprobe -r vboxdrv");
        assertThat(KvmDeviceFile.explainCreate(DEVICE, Errno.ENODEV))
                .contains("ENODEV (19)")
                .contains("dmesg");
    }

    @Test
    void otherVersionsAndOtherDevicesAreRefused() {
        assertThatCode(() -> KvmDeviceFile.checkVersion(DEVICE, 12)).doesNotThrowAnyException();
        assertThatThrownBy(() -> KvmDeviceFile.checkVersion(DEVICE, 10))
                .isInstanceOf(HypervisorUnavailableException.class)
                .hasMessageContaining("speaks version 10 of the KVM interface; this library speaks 12");
        assertThatThrownBy(() -> KvmDeviceFile.checkVersion(DEVICE, -Errno.ENOTTY))
                .isInstanceOf(HypervisorUnavailableException.class)
                .hasMessageContaining("is not KVM")
                .hasMessageContaining("ENOTTY");
    }

    @Test
    void otherSystemsAndProcessorsAreRefused() {
        assertThatCode(() -> KvmDeviceFile.checkPlatform("Linux", "amd64")).doesNotThrowAnyException();
        assertThatThrownBy(() -> KvmDeviceFile.checkPlatform("Mac OS X", "aarch64"))
                .isInstanceOf(HypervisorUnavailableException.class)
                .hasMessageContaining("KVM is part of Linux, and this is Mac OS X");
        assertThatThrownBy(() -> KvmDeviceFile.checkPlatform("Linux", "s390x"))
                .isInstanceOf(HypervisorUnavailableException.class)
                .hasMessageContaining("s390x");
    }
}
