package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Bytes;
import io.github.jkvm.Doorbell;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.GuestMemoryException;
import io.github.jkvm.VmExit;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A load or store of 1 to 8 bytes within one page: served by memory where there is some, else an MMIO access. */
final class MemoryStep extends AnsweredStep {
    private final ScriptedVCpu vcpu;
    private final VmExit.Access access;
    private final long address;
    private final byte[] data;

    private MemoryStep(ScriptedVCpu vcpu, VmExit.Access access, long address, byte[] data) {
        this.vcpu = vcpu;
        this.access = access;
        this.address = address;
        this.data = data;
    }

    static MemoryStep load(ScriptedVCpu vcpu, long address, int size) {
        byte[] unanswered = new byte[size];
        Arrays.fill(unanswered, (byte) ALL_ONES);
        return new MemoryStep(vcpu, VmExit.Access.READ, address, unanswered);
    }

    static MemoryStep store(ScriptedVCpu vcpu, long address, byte[] data) {
        return new MemoryStep(vcpu, VmExit.Access.WRITE, address, data);
    }

    @Override
    @Nullable
    VmExit perform(@Nullable ExitHandler handler) {
        return access == VmExit.Access.READ ? load(handler) : store(handler);
    }

    private @Nullable VmExit load(@Nullable ExitHandler handler) {
        if (isInMemory()) {
            finish();
            return null;
        }
        if (handler == null) {
            return new VmExit.MmioRead(GuestAddress.of(address), data.length);
        }
        try {
            LittleEndian.put(data, 0, data.length, handler.mmioRead(address, data.length));
        } finally {
            finish();
        }
        return null;
    }

    /** Does the access if there is memory for it. */
    private boolean isInMemory() {
        GuestMemory memory = vcpu.vm().memory();
        try {
            if (access == VmExit.Access.READ) {
                memory.read(address, MemorySegment.ofArray(data));
                return true;
            }
            if (memory.isWritable(address, data.length)) {
                memory.write(address, data);
                return true;
            }
            return false;
        } catch (GuestMemoryException | IllegalStateException noneOrJustRemoved) {
            return false;
        }
    }

    private @Nullable VmExit store(@Nullable ExitHandler handler) {
        if (isInMemory()) {
            finish();
            return null;
        }
        long value = LittleEndian.get(data, 0, data.length);
        if (vcpu.vm().doorbells().ring(Doorbell.Space.MMIO, address, data.length, value)) {
            finish();
            return null;
        }
        if (handler == null) {
            return new VmExit.MmioWrite(GuestAddress.of(address), Bytes.copyOf(data));
        }
        try {
            handler.mmioWrite(address, data.length, value);
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
        LittleEndian.put(data, 0, data.length, value);
        return true;
    }

    @Override
    boolean give(Bytes answer) {
        if (access == VmExit.Access.WRITE) {
            return false;
        }
        LastExit.checkLength(answer, data.length, new VmExit.MmioRead(GuestAddress.of(address), data.length));
        System.arraycopy(answer.toArray(), 0, data, 0, data.length);
        return true;
    }

    byte[] data() {
        return data;
    }
}
