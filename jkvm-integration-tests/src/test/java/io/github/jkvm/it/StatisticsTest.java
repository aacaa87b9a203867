package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.kvm.KvmStats;
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.testkit.RequiresKvm;
import org.junit.jupiter.api.Test;

@RequiresKvm(Capability.BINARY_STATS)
class StatisticsTest {

    private static long exits(KvmVCpu vcpu) {
        return vcpu.statistics().find("exits").orElseThrow().value();
    }

    @Test
    void countTheExitsOfAVCpu() {
        var code = new Code16();
        int loop = code.here();
        code.out(BareGuest.REPORT, 1).jmp(loop);
        try (var guest = new BareGuest(code)) {
            long before = exits(guest.kvmVCpu());
            for (int i = 0; i < 100; i++) {
                assertThat(guest.report()).isEqualTo(1);
            }
            assertThat(exits(guest.kvmVCpu()) - before).isGreaterThanOrEqualTo(100);
        }
    }

    @Test
    void haveNamesKindsAndUnits() {
        try (var guest = new BareGuest(new Code16().out(BareGuest.REPORT, 1))) {
            assertThat(guest.report()).isEqualTo(1);
            KvmStats vcpu = guest.kvmVCpu().statistics();
            KvmStats vm = guest.kvm().statistics();

            // Linux, virt/kvm/kvm_main.c: the number of the thread that made the VM, and for a vCPU its id after it.
            assertThat(vm.id()).matches("kvm-\\d+");
            assertThat(vcpu.id()).isEqualTo(vm.id() + "/vcpu-0");
            assertThat(vcpu.statistics()).allSatisfy(statistic -> {
                assertThat(statistic.name()).matches("[a-z0-9_]+");
                assertThat(statistic.kind()).isNotEqualTo(KvmStats.Kind.UNKNOWN);
                assertThat(statistic.unit()).isNotEqualTo(KvmStats.Unit.UNKNOWN);
                assertThat(statistic.values()).isNotEmpty();
            });
            // Linux, include/linux/kvm_host.h, KVM_GENERIC_VCPU_STATS.
            KvmStats.Statistic histogram = vcpu.find("halt_poll_success_hist").orElseThrow();
            assertThat(histogram.kind()).isEqualTo(KvmStats.Kind.LOGARITHMIC_HISTOGRAM);
            assertThat(histogram.unit()).isEqualTo(KvmStats.Unit.SECONDS);
            assertThat(histogram.base()).isEqualTo(10);
            assertThat(histogram.exponent()).isEqualTo(-9);
            assertThat(histogram.values()).hasSizeGreaterThan(10);
            assertThat(vcpu.find("no_such_statistic")).isEmpty();
        }
    }

    @Test
    void refuseAClosedVCpu() {
        try (var guest = new BareGuest(new Code16())) {
            guest.vcpu.close();
            assertThatThrownBy(() -> guest.kvmVCpu().statistics()).isInstanceOf(IllegalStateException.class);
        }
    }
}
