package io.github.jkvm.kvm.layout;

import io.github.jkvm.Bytes;
import io.github.jkvm.x86.FpuState;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The x87 and SSE registers in the area of the {@code xsave} instruction (SDM volume 1, 10.5.1 table 10-2, and 13.4.2), to and from the record
 * of the API.
 */
public final class XsaveCodec {
    private static final long FCW = 0;
    private static final long FSW = 2;
    private static final long FTW = 4;
    private static final long FOP = 6;
    private static final long FIP = 8;
    private static final long FDP = 16;
    private static final long MXCSR = 24;
    private static final long ST = 32;
    private static final int ST_COUNT = 8;
    private static final long XMM = 160;
    private static final int XMM_COUNT = 16;
    private static final int REGISTER_SIZE = 16;

    /** Which components the area holds; the others are in their initial state whatever it says of them. */
    private static final long XSTATE_BV = 512;

    private static final long X87_AND_SSE = 3;

    private XsaveCodec() {}

    /**
     * Reads the registers.
     *
     * @param area an area as the kernel gives it: components that it does not hold are shown in their initial state
     * @return the registers
     */
    public static FpuState fpu(MemorySegment area) {
        return new FpuState(
                registers(area, ST, ST_COUNT),
                Fields.u16(area, FCW),
                Fields.u16(area, FSW),
                Fields.u8(area, FTW),
                Fields.u16(area, FOP),
                Fields.u64(area, FIP),
                Fields.u64(area, FDP),
                registers(area, XMM, XMM_COUNT),
                Fields.u32(area, MXCSR));
    }

    private static List<Bytes> registers(MemorySegment area, long offset, int count) {
        List<Bytes> registers = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            registers.add(Fields.bytes(area, offset + (long) i * REGISTER_SIZE, REGISTER_SIZE));
        }
        return registers;
    }

    /**
     * Writes the registers and says that the area holds them.
     *
     * @param area an area, whose other components stay as they are
     * @param state the registers
     * @throws IllegalArgumentException if a part does not fit its field
     */
    public static void write(MemorySegment area, FpuState state) {
        Fields.u16(area, FCW, "fcw", state.fcw());
        Fields.u16(area, FSW, "fsw", state.fsw());
        Fields.u8(area, FTW, "ftwx", state.ftwx());
        Fields.u16(area, FOP, "last opcode", state.lastOpcode());
        Fields.u64(area, FIP, state.lastIp());
        Fields.u64(area, FDP, state.lastDp());
        Fields.u32(area, MXCSR, state.mxcsr());
        for (int i = 0; i < ST_COUNT; i++) {
            Fields.bytes(area, ST + (long) i * REGISTER_SIZE, state.fpr().get(i));
        }
        for (int i = 0; i < XMM_COUNT; i++) {
            Fields.bytes(area, XMM + (long) i * REGISTER_SIZE, state.xmm().get(i));
        }
        Fields.u64(area, XSTATE_BV, Fields.u64(area, XSTATE_BV) | X87_AND_SSE);
    }
}
