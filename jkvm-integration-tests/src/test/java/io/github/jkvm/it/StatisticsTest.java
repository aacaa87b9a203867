package io.github.jkvm.it;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.MicroGuest.REPORT_PORT;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Capability;
import io.github.jkvm.kvm.KvmStats;
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Label;
import org.junit.jupiter.api.Test;

@MicroVm
@RequiresKvm(Capability.BINARY_STATS)
class StatisticsTest {

    private static KvmStats statistics(MicroGuest guest) {
        return KvmVCpu.of(guest.vcpu()).statistics();
    }

    private static long exits(MicroGuest guest) {
        return statistics(guest).find("exits").orElseThrow().value();
    }

    @Test
    void countTheExitsOfAVCpu(MicroGuest guest) {
        guest.load(code -> {
            Label again = code.here("again");
            code.mov(AL, 1).out(REPORT_PORT, AL).jmp(again);
        });
        long before = exits(guest);
        for (int i = 0; i < 100; i++) {
            assertThat(guest).reports(1);
        }
        assertThat(exits(guest) - before).isGreaterThanOrEqualTo(100);
    }

    @Test
    void haveNamesKindsAndUnits(MicroGuest guest) {
        guest.load(code -> code.mov(AL, 1).out(REPORT_PORT, AL));
        assertThat(guest).reports(1);
        KvmStats vcpu = statistics(guest);
        KvmStats vm = KvmVm.of(guest.vm()).statistics();

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

    @Test
    void refuseAClosedVCpu(MicroGuest guest) {
        guest.vcpu().close();
        assertThatThrownBy(() -> statistics(guest)).isInstanceOf(IllegalStateException.class);
    }
}
