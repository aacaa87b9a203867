package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Bytes;
import io.github.jkvm.Doorbell;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.Registers;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** An access to a port: {@code in}, {@code out} and their string forms. */
final class PortStep extends AnsweredStep {
    private static final int PORTS = 0x1_0000;

    private final ScriptedVCpu vcpu;
    private final VmExit.Access access;
    private final int port;
    private final int size;
    private final int count;
    private final byte[] data;

    private PortStep(ScriptedVCpu vcpu, VmExit.Access access, int port, int size, byte[] data) {
        if (port < 0 || port >= PORTS) {
            throw new IllegalArgumentException("port 0x" + Integer.toHexString(port) + " must be from 0 to 0xffff");
        }
        if (size != 1 && size != 2 && size != 4) {
            throw new IllegalArgumentException(
                    "access of " + size + " bytes to port 0x" + Integer.toHexString(port) + " must be of 1, 2 or 4");
        }
        if (data.length == 0 || data.length % size != 0) {
            throw new IllegalArgumentException(data.length + " bytes to port 0x" + Integer.toHexString(port)
                    + " in elements of " + size + ": there must be one element or more, and no part of one");
        }
        this.vcpu = vcpu;
        this.access = access;
        this.port = port;
        this.size = size;
        this.count = data.length / size;
        this.data = data;
    }

    static PortStep out(ScriptedVCpu vcpu, int port, int size, byte[] data) {
        return new PortStep(vcpu, VmExit.Access.WRITE, port, size, data);
    }

    static PortStep in(ScriptedVCpu vcpu, int port, int size, int count) {
        if (count < 1 || count > Integer.MAX_VALUE / 4) {
            throw new IllegalArgumentException("count " + count + " must be 1 or more, and the bytes fit an array");
        }
        byte[] unanswered = new byte[size * count];
        Arrays.fill(unanswered, (byte) ALL_ONES);
        return new PortStep(vcpu, VmExit.Access.READ, port, size, unanswered);
    }

    @Override
    @Nullable
    VmExit perform(@Nullable ExitHandler handler) {
        return access == VmExit.Access.READ ? read(handler) : write(handler);
    }

    private @Nullable VmExit write(@Nullable ExitHandler handler) {
        if (rings(0)) {
            // The kernel tries each element of a string that it began to serve; those it can't serve are dropped
            // (Linux, arch/x86/kvm/x86.c, emulator_pio_in_out).
            for (int i = 1; i < count && rings(i); i++) {}
            finish();
            return null;
        }
        if (handler == null) {
            return new VmExit.PortOut(port, size, count, Bytes.copyOf(data));
        }
        try {
            for (int i = 0; i < count; i++) {
                handler.portOut(port, size, element(i));
            }
        } finally {
            finish();
        }
        return null;
    }

    private boolean rings(int index) {
        return vcpu.vm().doorbells().ring(Doorbell.Space.PORT, port, size, element(index));
    }

    private long element(int index) {
        return LittleEndian.get(data, index * size, size);
    }

    private @Nullable VmExit read(@Nullable ExitHandler handler) {
        if (handler == null) {
            return new VmExit.PortIn(port, size, count);
        }
        try {
            for (int i = 0; i < count; i++) {
                LittleEndian.put(data, i * size, size, handler.portIn(port, size));
            }
        } finally {
            finish();
        }
        return null;
    }

    @Override
    boolean give(long value) {
        if (access == VmExit.Access.WRITE) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            LittleEndian.put(data, i * size, size, value);
        }
        return true;
    }

    @Override
    boolean give(Bytes answer) {
        if (access == VmExit.Access.WRITE) {
            return false;
        }
        LastExit.checkLength(answer, data.length, new VmExit.PortIn(port, size, count));
        System.arraycopy(answer.toArray(), 0, data, 0, data.length);
        return true;
    }

    /** What {@code in} reads is in the accumulator: AL or AX, with the rest as it was, or EAX, with zeros above it. */
    @Override
    void complete() {
        if (access == VmExit.Access.WRITE || count > 1) {
            return;
        }
        CpuState cpu = vcpu.cpu();
        long before = size == 4 ? 0 : cpu.registers().rax();
        long kept = before & ~LittleEndian.low(ALL_ONES, size);
        cpu.setRegisters(cpu.registers().with(Registers.Name.RAX, kept | element(0)));
    }

    byte[] data() {
        return data;
    }
}
