package io.github.jkvm.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.kvm.ffi.Errno;
import org.junit.jupiter.api.Test;

class KvmExceptionTest {

    @Test
    void tellsCallArgumentsErrnoAndHint() {
        var exception = new KvmException("KVM_CREATE_PIT2", "VM, 64 bytes", Errno.EEXIST, "there is a timer already");
        assertThat(exception)
                .hasMessage("KVM_CREATE_PIT2 (VM, 64 bytes) failed with EEXIST (17): there is a timer already");
        assertThat(exception.operation()).isEqualTo("KVM_CREATE_PIT2");
        assertThat(exception.arguments()).isEqualTo("VM, 64 bytes");
        assertThat(exception.errno()).isEqualTo(17);
        assertThat(exception.errnoName()).isEqualTo("EEXIST");
        assertThat(exception.hint()).isEqualTo("there is a timer already");
    }

    @Test
    void hasAHintForErrorsThatAUserCanMend() {
        assertThat(KvmException.of("KVM_CREATE_VCPU", "3", Errno.EMFILE)).hasMessageContaining("ulimit -n NUMBER");
        assertThat(KvmException.of("KVM_CREATE_VM", "0", Errno.ENOMEM)).hasMessageContaining("out of memory");
        assertThat(KvmException.of("KVM_RUN", "vCPU 0", 4095)).hasMessageContaining("errno 4095 (4095)");
    }
}
