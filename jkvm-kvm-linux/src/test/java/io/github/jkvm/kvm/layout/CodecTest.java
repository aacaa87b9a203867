package io.github.jkvm.kvm.layout;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.GuestDebug;
import io.github.jkvm.x86.GuestDebug.Feature;
import io.github.jkvm.x86.IrqChipState.Pic;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.MsrFilter;
import io.github.jkvm.x86.MsrFilter.Access;
import io.github.jkvm.x86.MsrFilter.Unlisted;
import io.github.jkvm.x86.VCpuEvents;
import io.github.jkvm.x86.Xcr;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Where the parts of records go: what reading back what was written can't show. */
class CodecTest {
    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void close() {
        arena.close();
    }

    @Test
    void putsEachPartOfAnInterruptControllerIntoTheFieldOfItsName() {
        var pic = new Pic(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
        MemorySegment struct = X86VmStructs.KVM_PIC_STATE.allocate(arena);
        VmStateCodec.write(struct, pic);
        int value = 1;
        for (var component : Pic.class.getRecordComponents()) {
            String field = component.getName().replaceAll("([A-Z])", "_$1").toLowerCase(java.util.Locale.ROOT);
            assertThat(struct.get(JAVA_BYTE, X86VmStructs.KVM_PIC_STATE.offset(field)))
                    .as(field)
                    .isEqualTo((byte) value++);
        }
    }

    @Test
    void putsEventsIntoTheFieldsOfTheirNames() {
        var events = new VCpuEvents(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21);
        MemorySegment struct = RegisterStructs.KVM_VCPU_EVENTS.allocate(arena);
        VCpuStateCodec.write(struct, events);
        Map<String, Integer> expected = Map.ofEntries(
                Map.entry("exception.injected", 1),
                Map.entry("exception.nr", 2),
                Map.entry("exception.has_error_code", 3),
                Map.entry("exception.pending", 4),
                Map.entry("exception.error_code", 5),
                Map.entry("interrupt.injected", 6),
                Map.entry("interrupt.nr", 7),
                Map.entry("interrupt.soft", 8),
                Map.entry("interrupt.shadow", 9),
                Map.entry("nmi.injected", 10),
                Map.entry("nmi.pending", 11),
                Map.entry("nmi.masked", 12),
                Map.entry("sipi_vector", 13),
                Map.entry("flags", 14),
                Map.entry("smi.smm", 15),
                Map.entry("smi.pending", 16),
                Map.entry("smi.smm_inside_nmi", 17),
                Map.entry("smi.latched_init", 18),
                Map.entry("triple_fault.pending", 19),
                Map.entry("exception_has_payload", 20),
                Map.entry("exception_payload", 21));
        expected.forEach(
                (field, value) -> assertThat(struct.get(JAVA_BYTE, RegisterStructs.KVM_VCPU_EVENTS.offset(field)))
                        .as(field)
                        .isEqualTo(value.byteValue()));
    }

    @Test
    void refusesWhatDoesNotFitAByte() {
        MemorySegment struct = X86VmStructs.KVM_PIC_STATE.allocate(arena);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> VmStateCodec.write(struct, new Pic(0, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)))
                .withMessage("8259 irr is 256; it must be from 0 to 255");
    }

    @Test
    void asksForTheGuestDebugFeaturesByTheirBits() {
        MemorySegment struct = RegisterStructs.KVM_GUEST_DEBUG.allocate(arena);
        VCpuStateCodec.write(
                struct,
                new GuestDebug(
                        Set.of(Feature.SINGLE_STEP, Feature.HARDWARE_BREAKPOINTS), List.of(0x1000L, 0x2000L), 0x402));
        assertThat(struct.get(JAVA_INT, 0)).isEqualTo(0x0002_0003);
        assertThat(struct.get(JAVA_LONG, RegisterStructs.KVM_GUEST_DEBUG.offset("arch.debugreg[1]")))
                .isEqualTo(0x2000);
        assertThat(struct.get(JAVA_LONG, RegisterStructs.KVM_GUEST_DEBUG.offset("arch.debugreg[7]")))
                .isEqualTo(0x402);
    }

    @Test
    void turnsGuestDebugOffWhenNothingIsWatched() {
        MemorySegment struct = RegisterStructs.KVM_GUEST_DEBUG.allocate(arena);
        VCpuStateCodec.write(struct, GuestDebug.OFF);
        assertThat(struct.toArray(JAVA_BYTE)).containsOnly(0);
    }

    @Test
    void givesFilterRangesBitmapsOfWholeLongs() {
        var allowed = new BitSet();
        allowed.set(0);
        allowed.set(64);
        var filter = new MsrFilter(
                Unlisted.DENY, List.of(new MsrFilter.Range(0x174, 65, Set.of(Access.READ, Access.WRITE), allowed)));
        MemorySegment struct = X86VmStructs.KVM_MSR_FILTER.allocate(arena);
        List<MemorySegment> bitmaps = new ArrayList<>();
        VmStateCodec.write(struct, filter, (size, alignment) -> {
            bitmaps.add(arena.allocate(size, alignment));
            return bitmaps.getLast();
        });
        assertThat(struct.get(JAVA_INT, 0)).isEqualTo(1);
        assertThat(struct.get(JAVA_INT, X86VmStructs.KVM_MSR_FILTER.offset("ranges[0].flags")))
                .isEqualTo(3);
        assertThat(struct.get(JAVA_INT, X86VmStructs.KVM_MSR_FILTER.offset("ranges[0].nmsrs")))
                .isEqualTo(65);
        assertThat(struct.get(JAVA_INT, X86VmStructs.KVM_MSR_FILTER.offset("ranges[0].base")))
                .isEqualTo(0x174);
        assertThat(struct.get(JAVA_LONG, X86VmStructs.KVM_MSR_FILTER.offset("ranges[0].bitmap")))
                .isEqualTo(bitmaps.getFirst().address());
        assertThat(bitmaps.getFirst().toArray(JAVA_LONG)).containsExactly(1, 1);
        assertThat(struct.get(JAVA_INT, X86VmStructs.KVM_MSR_FILTER.offset("ranges[1].nmsrs")))
                .isZero();
    }

    @Test
    void refusesMoreExtendedControlRegistersThanOneCallTakes() {
        MemorySegment struct = RegisterStructs.KVM_XCRS.allocate(arena);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> VCpuStateCodec.write(struct, Collections.nCopies(17, new Xcr(0, 1))))
                .withMessage("got 17 extended control registers; one call takes 16");
    }

    @Test
    void neverReadsMoreEntriesThanThereIsMemoryFor() {
        MemorySegment struct = ListCodec.msrs(arena, List.of(new Msr(1, 2), new Msr(3, 4)));
        struct.set(JAVA_INT, 0, -1);
        assertThat(ListCodec.msrs(struct)).hasSize(2);
    }

    /** Linux 6.1, kvm_vcpu_ioctl_get_cpuid2: on success the counter is not changed. */
    @Test
    void leavesOutCpuidEntriesThatTheKernelDidNotFillIn() {
        MemorySegment room = ListCodec.markedCpuidRoom(arena, 3);
        var entry = new CpuidEntry(0, 0, 0, 0, 0, 0, 0);
        MemorySegment filled = ListCodec.cpuid(arena, List.of(entry));
        MemorySegment.copy(filled, 8, room, 8, filled.byteSize() - 8);
        assertThat(ListCodec.cpuid(room)).containsExactly(entry);
    }

    @Test
    void namesAFieldThatDoesNotExist() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RunStructs.KVM_RUN.offset("io.colour"))
                .withMessage("struct kvm_run has no field io.colour");
    }
}
