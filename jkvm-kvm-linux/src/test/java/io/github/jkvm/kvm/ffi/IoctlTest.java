package io.github.jkvm.kvm.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class IoctlTest {

    @Test
    void numbersAreThoseOfTheHeader() {
        // What a C compiler makes of linux/kvm.h on x86-64.
        assertThat(Ioctl.io("KVM_RUN", 0x80).number()).isEqualTo(0xAE80);
        assertThat(Ioctl.ior("KVM_GET_REGS", 0x81, 144).number()).isEqualTo(0x8090AE81L);
        assertThat(Ioctl.iow("KVM_SET_USER_MEMORY_REGION", 0x46, 32).number()).isEqualTo(0x4020AE46L);
        assertThat(Ioctl.iowr("KVM_GET_SUPPORTED_CPUID", 0x05, 8).number()).isEqualTo(0xC008AE05L);
    }

    @Test
    void partsThatDoNotFitAreRefused() {
        assertThatThrownBy(() -> Ioctl.io("TOO_HIGH", 256))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("TOO_HIGH: request 256 must be 0 to 255 and size 0 below 16384");
        assertThatThrownBy(() -> Ioctl.iow("TOO_LARGE", 1, 1 << 14)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void errnoNumbersHaveTheirNames() {
        assertThat(Errno.name(1)).isEqualTo("EPERM");
        assertThat(Errno.name(Errno.EINTR)).isEqualTo("EINTR");
        assertThat(Errno.name(Errno.EHWPOISON)).isEqualTo("EHWPOISON");
        assertThat(Errno.name(41)).isEqualTo("errno 41");
        assertThat(Errno.name(0)).isEqualTo("errno 0");
        assertThat(Errno.name(999)).isEqualTo("errno 999");
    }
}
