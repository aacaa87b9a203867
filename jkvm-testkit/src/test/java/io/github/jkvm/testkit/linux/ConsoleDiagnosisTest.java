package io.github.jkvm.testkit.linux;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Messages of Linux 6.1, as they come over a console. */
class ConsoleDiagnosisTest {
    @Test
    void tellsAPanic() {
        assertThat(ConsoleDiagnosis.of("""
                        [    9.1] sysrq: Trigger a crash
                        [    9.2] Kernel panic - not syncing: sysrq triggered crash
                        [    9.3] CPU: 0 PID: 61 Comm: sh
                        """)).isEqualTo("the guest's kernel panicked: sysrq triggered crash");
    }

    @Test
    void tellsThatProcessOneHasDied() {
        assertThat(
                        ConsoleDiagnosis.of(
                                "[    1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n[    1.0] CPU: 0"))
                .isEqualTo("process 1 of the guest has died (exit code 0x00000100), and the kernel with it");
    }

    @Test
    void tellsWhyProcessOneGaveUp() {
        assertThat(ConsoleDiagnosis.of("""
                        jkvm: the control channel's module virtio_mmio can't be loaded
                        [    1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
                        """))
                .isEqualTo("the guest could not be set up: the control channel's module virtio_mmio can't be loaded");
    }

    @Test
    void tellsThatMemoryRanOut() {
        assertThat(
                        ConsoleDiagnosis.of(
                                "[   22.5] Out of memory: Killed process 71 (tail) total-vm:98012kB, anon-rss:94764kB, file-rss:0kB"))
                .isEqualTo(
                        "the guest ran out of memory, and its kernel killed 'tail'; give it more with memory(bytes), or"
                                + " fewer files");
        assertThat(ConsoleDiagnosis.of("[    0.9] Kernel panic - not syncing: System is deadlocked on memory"))
                .startsWith("the guest ran out of memory; give it more");
        assertThat(ConsoleDiagnosis.of("[    0.4] Initramfs unpacking failed: write error"))
                .startsWith("the guest's files could not be unpacked (write error), for lack of memory most likely");
    }

    @Test
    void saysNothingOfWhatIsNoFailure() {
        assertThat(ConsoleDiagnosis.of("[    0.1] x86/cpu: some warning\n")).isEmpty();
    }
}
