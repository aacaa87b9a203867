package io.github.jkvm.kvm.layout;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.DebugRegisters;
import io.github.jkvm.x86.FpuState;
import io.github.jkvm.x86.IrqChipState.Ioapic;
import io.github.jkvm.x86.IrqChipState.Pic;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.PitState;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.VCpuEvents;
import io.github.jkvm.x86.Xcr;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Any record that is written to its structure is read back equal. */
class CodecPropertyTest {

    private static <T> void survives(
            Struct struct, T value, BiConsumer<MemorySegment, T> write, Function<MemorySegment, T> read) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = struct.allocate(arena);
            write.accept(memory, value);
            assertThat(read.apply(memory)).isEqualTo(value);
        }
    }

    @Property(tries = 200)
    void generalRegistersSurviveTheirStructure(@ForAll("generalRegisters") Registers any) {
        survives(RegisterStructs.KVM_REGS, any, RegistersCodec::write, RegistersCodec::registers);
    }

    @Provide
    Arbitrary<Registers> generalRegisters() {
        return Records.of(Registers.class);
    }

    @Property(tries = 200)
    void specialRegistersSurviveTheirStructure(@ForAll("specialRegisters") SpecialRegisters any) {
        survives(RegisterStructs.KVM_SREGS, any, RegistersCodec::write, RegistersCodec::specialRegisters);
    }

    @Provide
    Arbitrary<SpecialRegisters> specialRegisters() {
        return Records.of(SpecialRegisters.class);
    }

    @Property(tries = 200)
    void floatingPointStateSurviveTheirStructure(@ForAll("floatingPointState") FpuState any) {
        survives(RegisterStructs.KVM_FPU, any, VCpuStateCodec::write, VCpuStateCodec::fpu);
    }

    @Provide
    Arbitrary<FpuState> floatingPointState() {
        return Records.of(FpuState.class);
    }

    @Property(tries = 200)
    void eventsSurviveTheirStructure(@ForAll("events") VCpuEvents any) {
        survives(RegisterStructs.KVM_VCPU_EVENTS, any, VCpuStateCodec::write, VCpuStateCodec::events);
    }

    @Provide
    Arbitrary<VCpuEvents> events() {
        return Records.of(VCpuEvents.class);
    }

    @Property(tries = 200)
    void debugRegistersSurviveTheirStructure(@ForAll("debugRegisters") DebugRegisters any) {
        survives(RegisterStructs.KVM_DEBUGREGS, any, VCpuStateCodec::write, VCpuStateCodec::debugRegisters);
    }

    @Provide
    Arbitrary<DebugRegisters> debugRegisters() {
        return Records.of(DebugRegisters.class);
    }

    @Property(tries = 200)
    void interruptControllerSurviveTheirStructure(@ForAll("interruptController") Pic any) {
        survives(X86VmStructs.KVM_PIC_STATE, any, VmStateCodec::write, VmStateCodec::pic);
    }

    @Provide
    Arbitrary<Pic> interruptController() {
        return Records.of(Pic.class);
    }

    @Property(tries = 200)
    void ioapicSurviveTheirStructure(@ForAll("ioapic") Ioapic any) {
        survives(X86VmStructs.KVM_IOAPIC_STATE, any, VmStateCodec::write, VmStateCodec::ioapic);
    }

    @Provide
    Arbitrary<Ioapic> ioapic() {
        return Records.of(Ioapic.class);
    }

    @Property(tries = 200)
    void timerSurviveTheirStructure(@ForAll("timer") PitState any) {
        survives(X86VmStructs.KVM_PIT_STATE2, any, VmStateCodec::write, VmStateCodec::pit);
    }

    @Provide
    Arbitrary<PitState> timer() {
        return Records.of(PitState.class);
    }

    @Property(tries = 200)
    void clockSurviveTheirStructure(@ForAll("clock") ClockState any) {
        survives(X86VmStructs.KVM_CLOCK_DATA, any, VmStateCodec::write, VmStateCodec::clock);
    }

    @Provide
    Arbitrary<ClockState> clock() {
        return Records.of(ClockState.class);
    }

    @Property(tries = 200)
    void floatingPointStateSurvivesTheExtendedState(@ForAll("floatingPointState") FpuState any) {
        survives(RegisterStructs.KVM_XSAVE, any, XsaveCodec::write, XsaveCodec::fpu);
    }

    /** {@code struct kvm_sregs2} has no interrupt bitmap. */
    @Property(tries = 200)
    void specialRegisters2SurviveButForTheirBitmap(@ForAll("specialRegisters2") SpecialRegisters2 any) {
        SpecialRegisters2 other = new SpecialRegisters2(
                new SpecialRegisters(
                        any.registers().cs(),
                        any.registers().ds(),
                        any.registers().es(),
                        any.registers().fs(),
                        any.registers().gs(),
                        any.registers().ss(),
                        any.registers().tr(),
                        any.registers().ldt(),
                        any.registers().gdt(),
                        any.registers().idt(),
                        any.registers().cr0(),
                        any.registers().cr2(),
                        any.registers().cr3(),
                        any.registers().cr4(),
                        any.registers().cr8(),
                        any.registers().efer(),
                        any.registers().apicBase(),
                        List.of(0L, 0L, 0L, 0L)),
                any.flags(),
                any.pdptrs());
        survives(RegisterStructs.KVM_SREGS2, other, RegistersCodec::write, RegistersCodec::specialRegisters2);
    }

    @Provide
    Arbitrary<SpecialRegisters2> specialRegisters2() {
        return Records.of(SpecialRegisters2.class);
    }

    @Property(tries = 200)
    void cpuidAnswersSurviveTheirList(@ForAll("cpuid") List<CpuidEntry> any) {
        try (Arena arena = Arena.ofConfined()) {
            assertThat(ListCodec.cpuid(ListCodec.cpuid(arena, any))).isEqualTo(any);
        }
    }

    @Provide
    Arbitrary<List<CpuidEntry>> cpuid() {
        return Records.of(CpuidEntry.class).list().ofMaxSize(40);
    }

    @Property(tries = 200)
    void msrsSurviveTheirList(@ForAll("msrs") List<Msr> any) {
        try (Arena arena = Arena.ofConfined()) {
            assertThat(ListCodec.msrs(ListCodec.msrs(arena, any))).isEqualTo(any);
        }
    }

    @Provide
    Arbitrary<List<Msr>> msrs() {
        return Records.of(Msr.class).list().ofMaxSize(40);
    }

    @Property(tries = 200)
    void extendedControlRegistersSurviveTheirStructure(@ForAll("xcrs") List<Xcr> any) {
        survives(RegisterStructs.KVM_XCRS, any, VCpuStateCodec::write, VCpuStateCodec::xcrs);
    }

    @Provide
    Arbitrary<List<Xcr>> xcrs() {
        return Records.of(Xcr.class).list().ofMaxSize(RegisterStructs.KVM_MAX_XCRS);
    }
}
