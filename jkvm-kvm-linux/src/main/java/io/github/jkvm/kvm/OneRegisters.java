package io.github.jkvm.kvm;

import io.github.jkvm.Bytes;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Ioctl;
import io.github.jkvm.kvm.layout.DeviceStructs;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Registers of a vCPU by KVM's numbers for them ({@code KVM_GET_ONE_REG}; Linux, Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG): all of an Arm or
 * RISC-V vCPU's state, and on x86 since Linux 6.18 the model-specific registers. Made by {@link KvmVCpu#oneRegisters()}.
 *
 * <p>Every method throws {@link IllegalStateException} if the vCPU is closed or another thread runs it.
 */
public final class OneRegisters {
    /** A register's number holds its size: bits 52 to 55 are the binary logarithm of its bytes ({@code KVM_REG_SIZE_MASK}). */
    private static final int SIZE_SHIFT = 52;

    private static final int SIZE_MASK = 0xF;

    /** {@code KVM_REG_SIZE_U2048}, the largest there is. */
    private static final int LARGEST = 8;

    private static final int FIRST_ROOM = 512;

    private static final long ID = DeviceStructs.KVM_ONE_REG.offset("id");
    private static final long ADDR = DeviceStructs.KVM_ONE_REG.offset("addr");
    private static final long N = DeviceStructs.KVM_REG_LIST.offset("n");
    private static final long REG = DeviceStructs.KVM_REG_LIST.offset("reg");

    private static final String NO_CALL =
            "the host's kernel has no registers by number: on x86 it takes Linux 6.18 or later";
    private static final Map<Integer, String> HINTS = Map.of(
            Errno.ENOENT, "the vCPU has no such register",
            Errno.EINVAL, "the vCPU has no such register, or does not take this value, or " + NO_CALL,
            Errno.EPERM, "the register can't be used yet: on Arm the vCPU must be finalized first",
            Errno.EBUSY, "the register can't be changed after the vCPU has run",
            Errno.ENOTTY, NO_CALL);

    private final KvmVCpu vcpu;
    private final StructCall call;

    OneRegisters(KvmVCpu vcpu) {
        this.vcpu = vcpu;
        this.call = new StructCall(vcpu.fd());
    }

    /**
     * Returns the registers there are.
     *
     * @return their numbers
     * @throws KvmException if the host has no such list
     */
    public List<Long> ids() {
        return vcpu.withState(() -> {
            try {
                return GrowingList.get(
                        call, VCpuIoctls.KVM_GET_REG_LIST, FIRST_ROOM, OneRegisters::room, OneRegisters::list);
            } catch (KvmException refused) {
                throw call.refusal(VCpuIoctls.KVM_GET_REG_LIST, refused.errno(), "list", HINTS);
            }
        });
    }

    private static MemorySegment room(Arena arena, int room) {
        MemorySegment struct = DeviceStructs.KVM_REG_LIST.allocate(arena, room);
        struct.set(ValueLayout.JAVA_LONG, N, room);
        return struct;
    }

    private static List<Long> list(MemorySegment struct) {
        long room = (struct.byteSize() - REG) / Long.BYTES;
        int count = Math.toIntExact(Math.clamp(struct.get(ValueLayout.JAVA_LONG, N), 0, room));
        List<Long> ids = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            ids.add(struct.get(ValueLayout.JAVA_LONG, REG + (long) i * Long.BYTES));
        }
        return List.copyOf(ids);
    }

    /**
     * Reads a register.
     *
     * @param id its number ({@code KVM_REG_*}), which holds its size
     * @return its value, in the host's byte order
     * @throws IllegalArgumentException if the number's size is none there is
     * @throws KvmException if there is no such register or the host has no such call
     */
    public Bytes get(long id) {
        int size = size(id);
        return vcpu.withState(() -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment value = arena.allocate(size, Long.BYTES);
                call(VCpuIoctls.KVM_GET_ONE_REG, arena, id, value);
                return Bytes.copyOf(value.toArray(ValueLayout.JAVA_BYTE));
            }
        });
    }

    /**
     * Sets a register.
     *
     * @param id its number ({@code KVM_REG_*}), which holds its size
     * @param value its value, in the host's byte order, as long as that size
     * @throws IllegalArgumentException if the value has another size, or the number's size is none there is
     * @throws KvmException if the host refuses
     */
    public void set(long id, Bytes value) {
        int size = size(id);
        if (value.length() != size) {
            throw new IllegalArgumentException(
                    "register 0x%x has %d bytes; got %d".formatted(id, size, value.length()));
        }
        vcpu.withState(() -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment memory = arena.allocate(size, Long.BYTES);
                memory.copyFrom(MemorySegment.ofArray(value.toArray()));
                return call(VCpuIoctls.KVM_SET_ONE_REG, arena, id, memory);
            }
        });
    }

    private int call(Ioctl request, Arena arena, long id, MemorySegment value) {
        MemorySegment struct = DeviceStructs.KVM_ONE_REG.allocate(arena);
        struct.set(ValueLayout.JAVA_LONG, ID, id);
        struct.set(ValueLayout.JAVA_LONG, ADDR, value.address());
        return call.call(request, struct, "register 0x" + Long.toHexString(id), HINTS);
    }

    private static int size(long id) {
        int logarithm = (int) (id >>> SIZE_SHIFT) & SIZE_MASK;
        if (logarithm > LARGEST) {
            throw new IllegalArgumentException("register 0x%x has size code %d in bits 52 to 55; it must be 0 to %d"
                    .formatted(id, logarithm, LARGEST));
        }
        return 1 << logarithm;
    }
}
