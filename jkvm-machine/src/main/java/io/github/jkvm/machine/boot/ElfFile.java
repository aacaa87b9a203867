package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The parts of an x86 ELF file that say what lies where in memory (System V ABI, chapters 4 and 5: ELF header, program header, notes).
 *
 * <p>Field names are those of {@code Elf32_Ehdr}, {@code Elf64_Phdr} and so on.
 */
final class ElfFile {
    /** The first four bytes of every ELF file, as a little-endian number. */
    static final int MAGIC = 0x464C_457F;

    private static final int CLASS_32 = 1;
    private static final int CLASS_64 = 2;
    private static final int DATA_LITTLE_ENDIAN = 1;
    private static final int VERSION = 1;
    private static final int TYPE_EXEC = 2;
    private static final int TYPE_DYN = 3;
    private static final int MACHINE_386 = 3;
    private static final int MACHINE_X86_64 = 62;
    private static final int SEGMENT_LOAD = 1;
    private static final int SEGMENT_NOTE = 4;
    private static final int NOTE_HEADER = 12;

    /* Kernels have about five program headers and notes of a few hundred bytes: these bound what a hostile file can cost. */
    private static final int MAX_SEGMENTS = 256;
    private static final int MAX_NOTES_SIZE = 1 << 20;

    private final ImageReader image;
    private final boolean wide;
    private final long entry;
    private final List<Segment> segments;
    private final List<Segment> notes;

    /**
     * One program header.
     *
     * @param header offset of the header in the file
     * @param offset where its bytes begin in the file
     * @param fileSize how many there are
     * @param virtual virtual address
     * @param range physical addresses; as long as the segment is in memory
     * @param alignment value of p_align
     */
    record Segment(long header, long offset, long fileSize, long virtual, GuestRange range, long alignment) {}

    /**
     * One note.
     *
     * @param header offset of its header in the file
     * @param descriptor offset of its descriptor
     * @param size length of the descriptor
     */
    record Note(long header, long descriptor, long size) {}

    private ElfFile(ImageReader image) {
        this.image = image;
        if (!image.has32(0, MAGIC)) {
            throw image.bad("e_ident", 0, image.u32("e_ident", 0), "0x7f 'E' 'L' 'F'");
        }
        int elfClass = image.u8("EI_CLASS", 4);
        if (elfClass != CLASS_32 && elfClass != CLASS_64) {
            throw image.bad("EI_CLASS", 4, elfClass, "1 (32-bit) or 2 (64-bit)");
        }
        wide = elfClass == CLASS_64;
        expect("EI_DATA", 5, image.u8("EI_DATA", 5), DATA_LITTLE_ENDIAN, "little-endian");
        expect("EI_VERSION", 6, image.u8("EI_VERSION", 6), VERSION, "the current version");
        int type = image.u16("e_type", 16);
        if (type != TYPE_EXEC && type != TYPE_DYN) {
            throw image.bad("e_type", 16, type, "2 (executable) or 3 (shared)");
        }
        expect(
                "e_machine",
                18,
                image.u16("e_machine", 18),
                wide ? MACHINE_X86_64 : MACHINE_386,
                wide ? "x86-64" : "80386");
        entry = word("e_entry", 24, 24);
        segments = new ArrayList<>();
        notes = new ArrayList<>();
        readProgramHeaders();
    }

    /** Reads and checks headers and program headers. */
    static ElfFile parse(ImageReader image) {
        return new ElfFile(image);
    }

    private void expect(String field, long offset, long value, long expected, String meaning) {
        if (value != expected) {
            throw image.bad(field, offset, value, "0x" + Long.toHexString(expected) + " (" + meaning + ")");
        }
    }

    /** Tells whether it is a 64-bit file. */
    boolean isWide() {
        return wide;
    }

    /** Reads a field as wide as an address of the file's class. */
    private long word(String field, long offset32, long offset64) {
        return wide ? image.u64(field, offset64) : image.u32(field, offset32);
    }

    private void readProgramHeaders() {
        long table = word("e_phoff", 28, 32);
        int entrySizeAt = wide ? 54 : 42;
        int countAt = wide ? 56 : 44;
        int entrySize = wide ? 56 : 32;
        expect(
                "e_phentsize",
                entrySizeAt,
                image.u16("e_phentsize", entrySizeAt),
                entrySize,
                "size of a program header");
        int count = image.u16("e_phnum", countAt);
        if (count == 0 || count > MAX_SEGMENTS) {
            throw image.bad("e_phnum", countAt, count, "1 to 0x" + Integer.toHexString(MAX_SEGMENTS));
        }
        image.slice("e_phoff", wide ? 32 : 28, table, (long) count * entrySize);
        for (int i = 0; i < count; i++) {
            long at = table + (long) i * entrySize;
            long type = image.u32("p_type", at);
            if (type == SEGMENT_LOAD || type == SEGMENT_NOTE) {
                Segment segment = readSegment(at);
                if (type == SEGMENT_NOTE) {
                    checkNotes(segment);
                    notes.add(segment);
                } else if (segment.range().size() > 0) {
                    segments.add(segment);
                }
            }
        }
        if (segments.isEmpty()) {
            throw image.bad("p_type", table, "PT_LOAD for no segment with bytes", "at least one to load");
        }
        segments.sort(Comparator.comparing(Segment::range));
        for (int i = 1; i < segments.size(); i++) {
            GuestRange below = segments.get(i - 1).range();
            GuestRange above = segments.get(i).range();
            if (below.overlaps(above)) {
                long field = paddrAt(segments.get(i).header());
                throw image.bad("p_paddr", field, above.start(), "an address outside segment " + below);
            }
        }
    }

    private void checkNotes(Segment segment) {
        if (segment.fileSize() > MAX_NOTES_SIZE) {
            throw image.bad(
                    "p_filesz",
                    segment.header() + (wide ? 32 : 16),
                    segment.fileSize(),
                    "at most 0x" + Integer.toHexString(MAX_NOTES_SIZE) + " bytes of notes");
        }
    }

    private Segment readSegment(long at) {
        long offset = word("p_offset", at + 4, at + 8);
        long virtual = word("p_vaddr", at + 8, at + 16);
        long physical = word("p_paddr", at + 12, at + 24);
        long fileSize = word("p_filesz", at + 16, at + 32);
        long memorySize = word("p_memsz", at + 20, at + 40);
        long alignment = word("p_align", at + 28, at + 48);
        image.slice("p_offset", at + (wide ? 8 : 4), offset, fileSize);
        if (Long.compareUnsigned(fileSize, memorySize) > 0) {
            throw image.bad(
                    "p_filesz",
                    at + (wide ? 32 : 16),
                    fileSize,
                    "at most p_memsz, which is 0x" + Long.toHexString(memorySize));
        }
        GuestRange range = image.range("p_paddr", paddrAt(at), physical, memorySize);
        return new Segment(at, offset, fileSize, virtual, range, alignment);
    }

    private long paddrAt(long header) {
        return header + (wide ? 24 : 12);
    }

    /** From the first byte of the lowest segment to the last of the highest. */
    GuestRange span() {
        return GuestRange.between(
                segments.getFirst().range().start(), segments.getLast().range().end());
    }

    /** Checks that all segments lie in RAM. */
    void checkFits(GuestLayout layout) {
        for (Segment segment : segments) {
            if (!layout.isRam(segment.range())) {
                throw image.bad(
                        "p_paddr",
                        paddrAt(segment.header()),
                        segment.range().start(),
                        "an address with RAM for the segment's 0x"
                                + Long.toHexString(segment.range().size()) + " bytes");
            }
        }
    }

    /** Checks that an entry point that a field names is in a segment. */
    void checkEntry(String field, long fieldOffset, long physical) {
        if (segments.stream().noneMatch(segment -> segment.range().contains(new GuestRange(physical, 1)))) {
            throw image.bad(field, fieldOffset, physical, "an address inside a PT_LOAD segment");
        }
    }

    /**
     * Returns e_entry as a physical address. It is a virtual one, which matters for kernels that are linked high: it is taken back by the
     * distance between the two addresses of the segment that it lies in.
     */
    long physicalEntry() {
        for (Segment segment : segments) {
            long distance = entry - segment.virtual();
            if (Long.compareUnsigned(distance, segment.range().size()) < 0) {
                return segment.range().start() + distance;
            }
        }
        throw image.bad("e_entry", 24, entry, "an address inside a PT_LOAD segment");
    }

    /** Writes all segments, and zeros where a segment is longer in memory than in the file. */
    void write(GuestMemory memory) {
        for (Segment segment : segments) {
            long start = segment.range().start();
            MemorySegment bytes = image.slice("p_offset", segment.header(), segment.offset(), segment.fileSize());
            memory.write(start, bytes);
            memory.fill(start + segment.fileSize(), segment.range().size() - segment.fileSize(), (byte) 0);
        }
    }

    /**
     * Looks for a note in the PT_NOTE segments.
     *
     * @param name its owner
     * @param type its type
     * @return the first that there is
     */
    Optional<Note> note(String name, int type) {
        for (Segment segment : notes) {
            Optional<Note> found = note(segment, name, type);
            if (found.isPresent()) {
                return found;
            }
        }
        return Optional.empty();
    }

    private Optional<Note> note(Segment segment, String name, int type) {
        // The parts of a note are padded to 4 bytes, in segments aligned to 8 to 8 (System V ABI, "Note Section").
        long padding = segment.alignment() == 8 ? 8 : 4;
        long end = segment.offset() + segment.fileSize();
        long at = segment.offset();
        while (at <= end - NOTE_HEADER) {
            long nameSize = image.u32("n_namesz", at);
            long size = image.u32("n_descsz", at + 4);
            long descriptor = at + padded(NOTE_HEADER + nameSize, padding);
            if (descriptor > end || size > end - descriptor) {
                throw image.bad(
                        "n_descsz",
                        at + 4,
                        size,
                        "a note inside its segment, which ends at 0x" + Long.toHexString(end));
            }
            if (image.u32("n_type", at + 8) == type && nameIs(at + NOTE_HEADER, nameSize, name)) {
                return Optional.of(new Note(at, descriptor, size));
            }
            at = descriptor + padded(size, padding);
        }
        return Optional.empty();
    }

    private boolean nameIs(long at, long size, String name) {
        if (size != name.length() + 1) {
            return false;
        }
        for (int i = 0; i < size; i++) {
            if (image.u8("n_name", at + i) != (i < name.length() ? name.charAt(i) : 0)) {
                return false;
            }
        }
        return true;
    }

    private static long padded(long size, long padding) {
        return (size + padding - 1) & -padding;
    }
}
