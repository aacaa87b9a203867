package io.github.jkvm.kvm.layout;

import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.SequenceLayout;
import java.lang.foreign.StructLayout;
import java.lang.foreign.UnionLayout;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A {@code struct} of KVM's interface: its name in C and where its fields are.
 *
 * <p>Fields are written as in the header; the padding between them follows from the C rules (each field at a multiple of its alignment). Fields
 * of an unnamed union or struct are found by their own names, as in C.
 *
 * @param name the tag, such as {@code kvm_regs}
 * @param layout the fields
 */
public record Struct(String name, StructLayout layout) {

    /** A field of a {@link Struct}. */
    public record Field(MemoryLayout layout) {}

    /**
     * Returns a struct of these fields in this order.
     *
     * @param name the tag in C
     * @param fields the fields
     * @return the struct
     */
    public static Struct of(String name, Field... fields) {
        return new Struct(name, padded(List.of(fields)).withName(name));
    }

    /** An {@code __u8}. */
    public static Field u8(String name) {
        return new Field(ValueLayout.JAVA_BYTE.withName(name));
    }

    /** An {@code __u16}. */
    public static Field u16(String name) {
        return new Field(ValueLayout.JAVA_SHORT.withName(name));
    }

    /** An {@code __u32} or {@code __s32}. */
    public static Field u32(String name) {
        return new Field(ValueLayout.JAVA_INT.withName(name));
    }

    /** An {@code __u64}, {@code __s64}, or on the 64-bit hosts this runs on an {@code unsigned long} or a pointer. */
    public static Field u64(String name) {
        return new Field(ValueLayout.JAVA_LONG.withName(name));
    }

    /** An array {@code __u8 name[count]}; 0 for a flexible array at the end of a struct. */
    public static Field u8(String name, long count) {
        return array(name, count, ValueLayout.JAVA_BYTE);
    }

    /** An array {@code __u16 name[count]}; 0 for a flexible array at the end of a struct. */
    public static Field u16(String name, long count) {
        return array(name, count, ValueLayout.JAVA_SHORT);
    }

    /** An array {@code __u32 name[count]}; 0 for a flexible array at the end of a struct. */
    public static Field u32(String name, long count) {
        return array(name, count, ValueLayout.JAVA_INT);
    }

    /** An array {@code __u64 name[count]}; 0 for a flexible array at the end of a struct. */
    public static Field u64(String name, long count) {
        return array(name, count, ValueLayout.JAVA_LONG);
    }

    /** An array of bytes in rows, {@code __u8 name[rows][columns]}. */
    public static Field u8(String name, long rows, long columns) {
        return array(name, rows, MemoryLayout.sequenceLayout(columns, ValueLayout.JAVA_BYTE));
    }

    /** A struct that has a tag of its own. */
    public static Field struct(String name, Struct struct) {
        return new Field(struct.layout.withName(name));
    }

    /** An array of structs; 0 for a flexible array at the end of a struct. */
    public static Field struct(String name, long count, Struct struct) {
        return array(name, count, struct.layout);
    }

    /** A struct without a tag. */
    public static Field struct(String name, Field... fields) {
        return new Field(padded(List.of(fields)).withName(name));
    }

    /** A union. */
    public static Field union(String name, Field... fields) {
        return new Field(unionOf(fields).withName(name));
    }

    /** A union without a name, whose fields are named as if they were the outer struct's. */
    public static Field unnamedUnion(Field... fields) {
        return new Field(unionOf(fields));
    }

    private static Field array(String name, long count, MemoryLayout element) {
        return new Field(MemoryLayout.sequenceLayout(count, element).withName(name));
    }

    private static UnionLayout unionOf(Field... fields) {
        return MemoryLayout.unionLayout(
                List.of(fields).stream().map(Field::layout).toArray(MemoryLayout[]::new));
    }

    private static StructLayout padded(List<Field> fields) {
        List<MemoryLayout> members = new ArrayList<>();
        long end = 0;
        long alignment = 1;
        for (Field field : fields) {
            MemoryLayout member = field.layout;
            end = pad(members, end, member.byteAlignment());
            members.add(member);
            end += member.byteSize();
            alignment = Math.max(alignment, member.byteAlignment());
        }
        pad(members, end, alignment);
        return MemoryLayout.structLayout(members.toArray(MemoryLayout[]::new));
    }

    private static long pad(List<MemoryLayout> members, long end, long alignment) {
        long aligned = Math.ceilDiv(end, alignment) * alignment;
        if (aligned > end) {
            members.add(MemoryLayout.paddingLayout(aligned - end));
        }
        return aligned;
    }

    /**
     * Returns the size in bytes, without what a flexible array at its end adds.
     *
     * @return what {@code sizeof} gives
     */
    public long size() {
        return layout.byteSize();
    }

    /**
     * Returns where a field is.
     *
     * @param path its name; fields of inner structs after a dot, such as {@code io.port}; elements of arrays in brackets, such as {@code db[3]}
     * @return its offset in bytes
     * @throws IllegalArgumentException if there is no such field
     */
    public long offset(String path) {
        return locate(path).offset;
    }

    /**
     * Returns the size of a field.
     *
     * @param path as {@link #offset} takes it
     * @return its size in bytes
     * @throws IllegalArgumentException if there is no such field
     */
    public long size(String path) {
        return locate(path).layout.byteSize();
    }

    private record Place(long offset, MemoryLayout layout) {
        Place plus(long distance) {
            return new Place(offset + distance, layout);
        }
    }

    private Place locate(String path) {
        var at = new Place(0, layout);
        for (String part : path.split("\\.", -1)) {
            int bracket = part.indexOf('[');
            String field = bracket < 0 ? part : part.substring(0, bracket);
            Place inner = at.layout instanceof GroupLayout group ? find(group, field) : null;
            if (inner != null && bracket >= 0) {
                inner = element(inner, part.substring(bracket));
            }
            if (inner == null) {
                throw new IllegalArgumentException("struct " + name + " has no field " + path);
            }
            at = inner.plus(at.offset);
        }
        return at;
    }

    /** A field of a group, looked for in its unnamed members too. */
    private static @Nullable Place find(GroupLayout group, String field) {
        long offset = 0;
        for (MemoryLayout member : group.memberLayouts()) {
            String memberName = member.name().orElse("");
            if (memberName.equals(field)) {
                return new Place(offset, member);
            }
            if (memberName.isEmpty() && member instanceof GroupLayout unnamed) {
                Place within = find(unnamed, field);
                if (within != null) {
                    return within.plus(offset);
                }
            }
            if (group instanceof StructLayout) {
                offset += member.byteSize();
            }
        }
        return null;
    }

    private static @Nullable Place element(Place array, String index) {
        if (!(array.layout instanceof SequenceLayout sequence) || !index.endsWith("]")) {
            return null;
        }
        MemoryLayout element = sequence.elementLayout();
        return new Place(array.offset + element.byteSize() * Long.parseLong(index, 1, index.length() - 1, 10), element);
    }

    /**
     * Allocates one, all zero.
     *
     * @param allocator where
     * @return the memory
     */
    public MemorySegment allocate(SegmentAllocator allocator) {
        return allocator.allocate(layout).fill((byte) 0);
    }

    /**
     * Allocates one with room for the elements of the flexible array at its end, all zero.
     *
     * @param allocator where
     * @param count number of elements, 0 or more
     * @return the memory
     */
    public MemorySegment allocate(SegmentAllocator allocator, long count) {
        if (!(layout.memberLayouts().getLast() instanceof SequenceLayout array) || array.elementCount() != 0) {
            throw new IllegalArgumentException("struct " + name + " does not end in a flexible array");
        }
        long bytes =
                Math.addExact(size(), Math.multiplyExact(array.elementLayout().byteSize(), count));
        return allocator.allocate(bytes, layout.byteAlignment()).fill((byte) 0);
    }
}
