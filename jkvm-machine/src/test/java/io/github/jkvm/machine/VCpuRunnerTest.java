package io.github.jkvm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.VmExit;
import io.github.jkvm.machine.MachineExit.Reason;
import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.Translation;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

class VCpuRunnerTest {
    private static final ExitHandler NO_DEVICES = Fakes.of(ExitHandler.class, Map.of());

    private final GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, 0x2000));
    private final RunState state = new RunState();
    private int lastRetired;

    private MachineExit runWith(Object... exits) {
        Queue<Object> script = new ArrayDeque<>(List.of(exits));
        Segment code = Segment.flat32(0x10, Segment.TYPE_CODE);
        var table = new DescriptorTable(0, 0);
        var special = new SpecialRegisters(
                code,
                code,
                code,
                code,
                code,
                code,
                code,
                code,
                table,
                table,
                0x11,
                0xDEAD,
                0x3000,
                0,
                0,
                0,
                0,
                List.of(0L, 0L, 0L, 0L));
        var vm = Fakes.of(X86Vm.class, Map.of("memory", _ -> memory));
        Map<String, Function<Object[], Object>> answers = new HashMap<>();
        answers.put("id", _ -> 3);
        answers.put("vm", _ -> vm);
        answers.put("interrupt", _ -> null);
        answers.put("registers", _ -> Registers.INITIAL.withRip(0x1FFE));
        answers.put("specialRegisters", _ -> special);
        answers.put("translate", arguments -> new Translation((long) arguments[0], 1, 1, 0));
        answers.put("run", _ -> {
            Object next = script.remove();
            if (next instanceof RuntimeException failure) {
                throw failure;
            }
            return next;
        });
        X86VCpu vcpu = Fakes.of(X86VCpu.class, answers);
        state.add(vcpu);
        state.expect(1);
        new VCpuRunner(vcpu, NO_DEVICES, state, () -> lastRetired++).run();
        assertThat(script).as("every exit was taken").isEmpty();
        assertThat(lastRetired).isEqualTo(1);
        return state.exit();
    }

    private static VmExit systemEvent(VmExit.SystemEventType type) {
        return new VmExit.SystemEvent(type, 9, List.of());
    }

    @Test
    void haltOfTheOnlyVCpuEndsTheRun() {
        assertThat(runWith(new VmExit.Interrupted(), new VmExit.Nmi(), new VmExit.BusLock(), new VmExit.Halt()))
                .hasToString("HALT: every vCPU halted");
    }

    @Test
    void mapsEventsOfTheHypervisor() {
        assertThat(runWith(systemEvent(VmExit.SystemEventType.SHUTDOWN)).reason())
                .isEqualTo(Reason.SHUTDOWN);
    }

    @Test
    void mapsResetOfTheHypervisor() {
        assertThat(runWith(systemEvent(VmExit.SystemEventType.RESET)).reason()).isEqualTo(Reason.RESET);
    }

    @Test
    void mapsCrashOfTheHypervisor() {
        assertThat(runWith(systemEvent(VmExit.SystemEventType.CRASH)).reason()).isEqualTo(Reason.PANIC);
    }

    @Test
    void internalErrorShowsRegistersAndTheBytesThatAreMemory() {
        memory.write(0x1FFE, new byte[] {0x0F, 0x0B});
        MachineExit exit = runWith(new VmExit.InternalError(1, List.of(7L)));
        assertThat(exit.reason()).isEqualTo(Reason.ERROR);
        assertThat(exit.detail())
                .startsWith("vCPU 3: stopped with InternalError[suberror=1, data=[7]]")
                .contains("rip    0000000000001ffe")
                .contains("cr0 11 cr2 dead cr3 3000")
                .endsWith("code 0f 0b");
    }

    @Test
    void exitThatNobodyKnowsIsAnError() {
        assertThat(runWith(new VmExit.Unknown(99, io.github.jkvm.Bytes.copyOf((byte) 1)))
                        .reason())
                .isEqualTo(Reason.ERROR);
    }

    @Test
    void corruptGuestIsAnErrorAndANoticeIsNot() {
        MachineExit exit = runWith(new VmExit.Notify(0), new VmExit.Notify(1));
        assertThat(exit.detail()).contains("Notify[flags=1]");
    }

    @Test
    void whatIsThrownEndsTheRun() {
        var failure = new HypervisorException("ioctl KVM_RUN failed");
        MachineExit exit = runWith(failure);
        assertThat(exit.reason()).isEqualTo(Reason.ERROR);
        assertThat(exit.cause()).isSameAs(failure);
    }

    @Test
    void firstEndCounts() {
        state.end(MachineExit.of(Reason.STOPPED, "first"));
        state.end(MachineExit.of(Reason.RESET, "second"));
        assertThat(state.exit()).hasToString("STOPPED: first");
        assertThat(state.enterGuest()).isFalse();
    }
}
