package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.X86CpuStructs.KVM_CPUID2;
import static io.github.jkvm.kvm.layout.X86CpuStructs.KVM_CPUID_ENTRY2;
import static io.github.jkvm.kvm.layout.X86CpuStructs.KVM_MSRS;
import static io.github.jkvm.kvm.layout.X86CpuStructs.KVM_MSR_ENTRY;
import static io.github.jkvm.kvm.layout.X86CpuStructs.KVM_MSR_LIST;

import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.List;

/** Lists of CPUID answers and model-specific registers, which are structures with a counter and a flexible array, to and from the records of the API. */
public final class ListCodec {
    private static final long NENT = KVM_CPUID2.offset("nent");
    private static final long CPUID_ENTRIES = KVM_CPUID2.offset("entries");
    private static final long FUNCTION = KVM_CPUID_ENTRY2.offset("function");
    private static final long INDEX = KVM_CPUID_ENTRY2.offset("index");
    private static final long FLAGS = KVM_CPUID_ENTRY2.offset("flags");
    private static final long EAX = KVM_CPUID_ENTRY2.offset("eax");
    private static final long EBX = KVM_CPUID_ENTRY2.offset("ebx");
    private static final long ECX = KVM_CPUID_ENTRY2.offset("ecx");
    private static final long EDX = KVM_CPUID_ENTRY2.offset("edx");
    private static final long CPUID_PADDING = KVM_CPUID_ENTRY2.offset("padding");

    /** Padding of a marked entry that the kernel has not filled in; its own is 0. */
    private static final int UNTOUCHED = -1;

    private static final long NMSRS = KVM_MSRS.offset("nmsrs");
    private static final long MSR_ENTRIES = KVM_MSRS.offset("entries");
    private static final long MSR_INDEX = KVM_MSR_ENTRY.offset("index");
    private static final long MSR_DATA = KVM_MSR_ENTRY.offset("data");

    private static final long LIST_NMSRS = KVM_MSR_LIST.offset("nmsrs");
    private static final long LIST_INDICES = KVM_MSR_LIST.offset("indices");

    private ListCodec() {}

    /**
     * Allocates room for CPUID answers that the kernel is to fill in.
     *
     * @param allocator where
     * @param room for how many
     * @return a {@code kvm_cpuid2}
     */
    public static MemorySegment cpuidRoom(SegmentAllocator allocator, int room) {
        MemorySegment struct = KVM_CPUID2.allocate(allocator, room);
        Fields.u32(struct, NENT, room);
        return struct;
    }

    /**
     * Allocates room for CPUID answers, marked so that {@link #cpuid(MemorySegment)} knows those that were filled in. For a vCPU's answers: some
     * kernels (Linux 6.1 among them) leave the counter as it was when they give these. Other requests want the room unmarked.
     *
     * @param allocator where
     * @param room for how many
     * @return a {@code kvm_cpuid2}
     */
    public static MemorySegment markedCpuidRoom(SegmentAllocator allocator, int room) {
        MemorySegment struct = cpuidRoom(allocator, room);
        for (int i = 0; i < room; i++) {
            Fields.u32(struct, CPUID_ENTRIES + i * KVM_CPUID_ENTRY2.size() + CPUID_PADDING, UNTOUCHED);
        }
        return struct;
    }

    /**
     * Allocates CPUID answers.
     *
     * @param allocator where
     * @param entries the answers
     * @return a {@code kvm_cpuid2}
     */
    public static MemorySegment cpuid(SegmentAllocator allocator, List<CpuidEntry> entries) {
        MemorySegment struct = cpuidRoom(allocator, entries.size());
        long at = CPUID_ENTRIES;
        for (CpuidEntry entry : entries) {
            Fields.u32(struct, at + FUNCTION, entry.function());
            Fields.u32(struct, at + INDEX, entry.index());
            Fields.u32(struct, at + FLAGS, entry.flags());
            Fields.u32(struct, at + EAX, entry.eax());
            Fields.u32(struct, at + EBX, entry.ebx());
            Fields.u32(struct, at + ECX, entry.ecx());
            Fields.u32(struct, at + EDX, entry.edx());
            at += KVM_CPUID_ENTRY2.size();
        }
        return struct;
    }

    /**
     * Reads CPUID answers.
     *
     * @param struct a {@code kvm_cpuid2}
     * @return an immutable list of as many as it counts, without marked ones
     */
    public static List<CpuidEntry> cpuid(MemorySegment struct) {
        int count = count(struct, NENT, CPUID_ENTRIES, KVM_CPUID_ENTRY2.size());
        List<CpuidEntry> entries = new ArrayList<>(count);
        long at = CPUID_ENTRIES;
        for (int i = 0; i < count && Fields.u32(struct, at + CPUID_PADDING) != UNTOUCHED; i++) {
            entries.add(new CpuidEntry(
                    Fields.u32(struct, at + FUNCTION),
                    Fields.u32(struct, at + INDEX),
                    Fields.u32(struct, at + FLAGS),
                    Fields.u32(struct, at + EAX),
                    Fields.u32(struct, at + EBX),
                    Fields.u32(struct, at + ECX),
                    Fields.u32(struct, at + EDX)));
            at += KVM_CPUID_ENTRY2.size();
        }
        return List.copyOf(entries);
    }

    /**
     * Allocates model-specific registers.
     *
     * @param allocator where
     * @param msrs registers and values
     * @return a {@code kvm_msrs}
     */
    public static MemorySegment msrs(SegmentAllocator allocator, List<Msr> msrs) {
        MemorySegment struct = KVM_MSRS.allocate(allocator, msrs.size());
        Fields.u32(struct, NMSRS, msrs.size());
        long at = MSR_ENTRIES;
        for (Msr msr : msrs) {
            Fields.u32(struct, at + MSR_INDEX, msr.index());
            Fields.u64(struct, at + MSR_DATA, msr.value());
            at += KVM_MSR_ENTRY.size();
        }
        return struct;
    }

    /**
     * Reads model-specific registers.
     *
     * @param struct a {@code kvm_msrs}
     * @return an immutable list of as many as it counts
     */
    public static List<Msr> msrs(MemorySegment struct) {
        int count = count(struct, NMSRS, MSR_ENTRIES, KVM_MSR_ENTRY.size());
        List<Msr> msrs = new ArrayList<>(count);
        long at = MSR_ENTRIES;
        for (int i = 0; i < count; i++) {
            msrs.add(new Msr(Fields.u32(struct, at + MSR_INDEX), Fields.u64(struct, at + MSR_DATA)));
            at += KVM_MSR_ENTRY.size();
        }
        return List.copyOf(msrs);
    }

    /**
     * Allocates room for indices that the kernel is to fill in.
     *
     * @param allocator where
     * @param room for how many
     * @return a {@code kvm_msr_list}
     */
    public static MemorySegment indexRoom(SegmentAllocator allocator, int room) {
        MemorySegment struct = KVM_MSR_LIST.allocate(allocator, room);
        Fields.u32(struct, LIST_NMSRS, room);
        return struct;
    }

    /**
     * Returns how many indices there are, which the kernel tells also if there is too little room for them.
     *
     * @param struct a {@code kvm_msr_list}
     * @return their number
     */
    public static int indexCount(MemorySegment struct) {
        return Fields.u32(struct, LIST_NMSRS);
    }

    /**
     * Reads indices.
     *
     * @param struct a {@code kvm_msr_list}
     * @return an immutable list of as many as it counts
     */
    public static List<Integer> indices(MemorySegment struct) {
        int count = count(struct, LIST_NMSRS, LIST_INDICES, Integer.BYTES);
        List<Integer> indices = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            indices.add(Fields.u32(struct, LIST_INDICES + (long) i * Integer.BYTES));
        }
        return List.copyOf(indices);
    }

    /** A counter, but never more than there is memory for. */
    private static int count(MemorySegment struct, long counter, long entries, long entrySize) {
        long room = (struct.byteSize() - entries) / entrySize;
        return (int) Math.clamp(Integer.toUnsignedLong(Fields.u32(struct, counter)), 0, room);
    }
}
