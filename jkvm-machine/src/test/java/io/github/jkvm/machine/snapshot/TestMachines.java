package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import io.github.jkvm.DeviceState;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.PcDevice;
import io.github.jkvm.machine.state.CpuState;
import io.github.jkvm.machine.state.Pages;
import io.github.jkvm.x86.ClockState;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.DebugRegisters;
import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.IrqChipState;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.MpState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.PitState;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.VCpuEvents;
import io.github.jkvm.x86.Xcr;
import io.github.jkvm.x86.XsaveState;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Random;
import java.util.SequencedMap;

/** Saved machines, made up. */
final class TestMachines {
    static final long MEMORY = 6L << 20;

    private TestMachines() {}

    /** A PC with two vCPUs, a serial port and a disk, in which a number is found everywhere. */
    static SavedMachine pc(long number) {
        SequencedMap<String, DeviceState> devices = new LinkedHashMap<>();
        for (String name : List.of("serial0", "disk0")) {
            var state = new DeviceState(1);
            state.putNumber("number", number);
            state.putBytes("bytes", new byte[] {1, 2, (byte) number});
            devices.put(name, state);
        }
        return new SavedMachine(
                new SavedMachine.Shape(
                        Board.PC,
                        MEMORY,
                        List.of(PcDevice.SERIAL, PcDevice.TIMER),
                        List.of("disk0"),
                        1_700_000_000_000L + number),
                List.of(cpu(number), cpu(number + 1)),
                new ChipState(List.of(irqChip()), List.of(pit()), new ClockState(number, 0, 0, 0)),
                devices);
    }

    private static CpuState cpu(long number) {
        return new CpuState(
                false,
                List.of(new CpuidEntry(0, 0, 0, 1, 2, 3, 4), new CpuidEntry(1, 0, 0, 5, 6, 7, (int) number)),
                2_000_000,
                MpState.HALTED,
                Registers.of(number, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 2),
                new SpecialRegisters2(special(), 0, Collections.nCopies(4, 0L)),
                new XsaveState(Bytes.copyOf(new byte[XsaveState.MIN_SIZE])),
                List.of(new Xcr(0, 7)),
                new DebugRegisters(Collections.nCopies(4, 0L), 0xFFFF_0FF0L, 0x400, 0),
                List.of(new LapicState(Bytes.copyOf(new byte[LapicState.SIZE]))),
                List.of(new Msr(Msr.TSC, number), new Msr(Msr.LSTAR, 0x1234)),
                new VCpuEvents(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    }

    private static SpecialRegisters special() {
        Segment data = Segment.flat32(16, Segment.TYPE_DATA);
        var table = new DescriptorTable(0x1000, 0xFF);
        return new SpecialRegisters(
                Segment.code64(8),
                data,
                data,
                data,
                data,
                data,
                Segment.taskState(24),
                data,
                table,
                table,
                SpecialRegisters.CR0_PE,
                0,
                0x2000,
                SpecialRegisters.CR4_PAE,
                0,
                SpecialRegisters.EFER_LME,
                0xFEE0_0900L,
                Collections.nCopies(4, 0L));
    }

    private static IrqChipState irqChip() {
        var pic = new IrqChipState.Pic(0, 0, 0xFF, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        return new IrqChipState(
                pic, pic, new IrqChipState.Ioapic(0xFEC0_0000L, 0, 0, 0, Collections.nCopies(24, 0x1_0000L)));
    }

    private static PitState pit() {
        return new PitState(
                Collections.nCopies(3, new PitState.Channel(0x1_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0)), 0);
    }

    /** Memory of which some pages are random, and most are zeros. */
    static MemorySegment memory(long seed) {
        byte[] bytes = new byte[(int) MEMORY];
        var random = new Random(seed);
        byte[] page = new byte[Pages.SIZE];
        for (int i = 0; i < 100; i++) {
            random.nextBytes(page);
            System.arraycopy(page, 0, bytes, random.nextInt((int) (MEMORY / page.length)) * page.length, page.length);
        }
        return MemorySegment.ofArray(bytes);
    }
}
