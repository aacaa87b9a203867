package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.RunStructs.KVM_RUN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import io.github.jkvm.Bytes;
import io.github.jkvm.kvm.ffi.MappedMemory;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.RunNumbers;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory that a vCPU shares with the kernel: {@code struct kvm_run}, and behind it the data of port accesses.
 *
 * <p>All of it but {@code immediate_exit} belongs to the thread that runs the vCPU. Accesses with a {@code path} are for exits that are
 * rare; those of ports and MMIO are fields of their own and allocate nothing.
 */
final class RunPage {
    private static final VarHandle BYTE = JAVA_BYTE.varHandle();

    private static final long IMMEDIATE_EXIT = KVM_RUN.offset("immediate_exit");
    private static final long EXIT_REASON = KVM_RUN.offset("exit_reason");
    private static final long IO_DIRECTION = KVM_RUN.offset("io.direction");
    private static final long IO_SIZE = KVM_RUN.offset("io.size");
    private static final long IO_PORT = KVM_RUN.offset("io.port");
    private static final long IO_COUNT = KVM_RUN.offset("io.count");
    private static final long IO_DATA_OFFSET = KVM_RUN.offset("io.data_offset");
    private static final long MMIO_ADDRESS = KVM_RUN.offset("mmio.phys_addr");
    private static final long MMIO_DATA = KVM_RUN.offset("mmio.data");
    private static final long MMIO_LENGTH = KVM_RUN.offset("mmio.len");
    private static final long MMIO_IS_WRITE = KVM_RUN.offset("mmio.is_write");

    private final MemorySegment page;

    RunPage(MemorySegment page) {
        this.page = page;
    }

    /**
     * Maps the run page of a vCPU. It is not guarded against use after {@link #unmap}: {@link VCpuGate} keeps all others out by then, and
     * closing a guard that all threads share would cost a short-lived VM more than the rest of its vCPU.
     *
     * @param vcpu the vCPU
     * @param size size of the mapping in bytes
     * @throws KvmException if the host refuses
     */
    static RunPage map(OwnedFd vcpu, long size) {
        int fd = vcpu.acquire();
        try {
            return new RunPage(MappedMemory.mapUnguarded(size, MappedMemory.MAP_SHARED, fd));
        } catch (MappedMemory.MapFailed refused) {
            throw KvmException.of("mmap", "run page of " + vcpu, refused.errno());
        } finally {
            vcpu.release();
        }
    }

    /** Gives the page back to the host. Nothing of this object may be used afterwards. */
    void unmap() {
        MappedMemory.unmap(page);
    }

    /** Makes the next entry return without running the guest, or the one under way if a signal follows. Written by other threads. */
    void setImmediateExit(boolean on) {
        BYTE.setVolatile(page, IMMEDIATE_EXIT, (byte) (on ? 1 : 0));
    }

    int exitReason() {
        return page.get(JAVA_INT, EXIT_REASON);
    }

    /** Forgets the reason: the kernel leaves it alone when an entry fails, and an old one must not be taken for a new one. */
    void clearExitReason() {
        page.set(JAVA_INT, EXIT_REASON, RunNumbers.KVM_EXIT_UNKNOWN);
    }

    boolean portIsRead() {
        return page.get(JAVA_BYTE, IO_DIRECTION) == RunNumbers.KVM_EXIT_IO_IN;
    }

    int portSize() {
        return page.get(JAVA_BYTE, IO_SIZE);
    }

    int port() {
        return Short.toUnsignedInt(page.get(JAVA_SHORT, IO_PORT));
    }

    int portCount() {
        return page.get(JAVA_INT, IO_COUNT);
    }

    /** Where the elements of a port access are in this memory. */
    long portData() {
        return page.get(JAVA_LONG, IO_DATA_OFFSET);
    }

    /** Reads a port element of 1, 2 or 4 bytes, zero-extended. */
    long element(long offset, int size) {
        return switch (size) {
            case 1 -> Byte.toUnsignedLong(page.get(JAVA_BYTE, offset));
            case 2 -> Short.toUnsignedLong(page.get(JAVA_SHORT_UNALIGNED, offset));
            default -> Integer.toUnsignedLong(page.get(JAVA_INT_UNALIGNED, offset));
        };
    }

    void setElement(long offset, int size, long value) {
        switch (size) {
            case 1 -> page.set(JAVA_BYTE, offset, (byte) value);
            case 2 -> page.set(JAVA_SHORT_UNALIGNED, offset, (short) value);
            default -> page.set(JAVA_INT_UNALIGNED, offset, (int) value);
        }
    }

    long mmioAddress() {
        return page.get(JAVA_LONG, MMIO_ADDRESS);
    }

    int mmioLength() {
        return page.get(JAVA_INT, MMIO_LENGTH);
    }

    boolean mmioIsWrite() {
        return page.get(JAVA_BYTE, MMIO_IS_WRITE) != 0;
    }

    /** Reads what is written to MMIO, without the bytes above {@code length}, which are left from before. */
    long mmioData(int length) {
        long value = page.get(JAVA_LONG_UNALIGNED, MMIO_DATA);
        return length >= Long.BYTES ? value : value & ~(-1L << (length * Byte.SIZE));
    }

    Bytes mmioBytes(int length) {
        return bytes(MMIO_DATA, length);
    }

    void setMmioData(long value) {
        page.set(JAVA_LONG_UNALIGNED, MMIO_DATA, value);
    }

    void setMmioData(Bytes data) {
        set(MMIO_DATA, data);
    }

    void set(long offset, Bytes data) {
        MemorySegment.copy(data.toArray(), 0, page, JAVA_BYTE, offset, data.length());
    }

    Bytes bytes(long offset, long length) {
        return Bytes.copyOf(page.asSlice(offset, length).toArray(JAVA_BYTE));
    }

    /** The union that describes the exit, as the kernel left it. */
    Bytes exit() {
        return bytes(KVM_RUN.offset("padding"), KVM_RUN.size("padding"));
    }

    Bytes bytes(String path) {
        return bytes(KVM_RUN.offset(path), KVM_RUN.size(path));
    }

    /** A structure in the page. */
    MemorySegment part(String path) {
        return page.asSlice(KVM_RUN.offset(path), KVM_RUN.size(path));
    }

    int u8(String path) {
        return Byte.toUnsignedInt(page.get(JAVA_BYTE, KVM_RUN.offset(path)));
    }

    void setU8(String path, int value) {
        page.set(JAVA_BYTE, KVM_RUN.offset(path), (byte) value);
    }

    /** Without a local APIC in the kernel, each entry takes CR8 from here, over what was set with the other registers. */
    void setCr8(long value) {
        setU64("cr8", value);
    }

    int u16(String path) {
        return Short.toUnsignedInt(page.get(JAVA_SHORT, KVM_RUN.offset(path)));
    }

    int u32(String path) {
        return page.get(JAVA_INT, KVM_RUN.offset(path));
    }

    long u64(String path) {
        return page.get(JAVA_LONG, KVM_RUN.offset(path));
    }

    void setU64(String path, long value) {
        page.set(JAVA_LONG, KVM_RUN.offset(path), value);
    }

    /** The first elements of an array of {@code __u64}, at most as many as it has. */
    List<Long> u64s(String path, int count) {
        long limit = KVM_RUN.size(path) / Long.BYTES;
        int bounded = (int) Math.clamp(Integer.toUnsignedLong(count), 0, limit);
        List<Long> values = new ArrayList<>(bounded);
        for (int i = 0; i < bounded; i++) {
            values.add(page.get(JAVA_LONG, KVM_RUN.offset(path) + (long) i * Long.BYTES));
        }
        return values;
    }
}
