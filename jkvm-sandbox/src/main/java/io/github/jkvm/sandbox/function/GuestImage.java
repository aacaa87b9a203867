package io.github.jkvm.sandbox.function;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * A guest's program as it was linked: what lies where in memory with which rights, and the tables of its functions (System V ABI, chapters 4 and 5: ELF
 * header, program header, notes). Field names are those of {@code Elf64_Ehdr} and {@code Elf64_Phdr}.
 *
 * <p>Reading it costs no more than the file is long: numbers in it are checked before anything is made as large as they say.
 */
final class GuestImage {
    /** Where guests begin, as jkvm-sandbox.ld has it. */
    static final long BASE = 0x40_0000;

    /** Size of a page, in bytes. */
    static final int PAGE = 4096;

    /** Version of what guest and host agree on, in the note. */
    private static final long VERSION = 1;

    private static final int MAGIC = 0x464C_457F;
    private static final int CLASS_64_LITTLE_ENDIAN = 0x0102;
    private static final int TYPE_EXEC = 2;
    private static final int MACHINE_X86_64 = 62;
    private static final int EHDR_BYTES = 64;
    private static final int PHDR_BYTES = 56;
    private static final int PT_LOAD = 1;
    private static final int PT_NOTE = 4;
    private static final int PF_X = 1;
    private static final int PF_W = 2;
    private static final int MAX_SEGMENTS = 64;

    /** Most of a table, and bytes of a name or of a list of types. */
    private static final int MAX_ENTRIES = 4096;

    private static final int MAX_TEXT = 4096;

    private static final String REMEDY = "; link it with jkvm-sandbox.S and -T jkvm-sandbox.ld";

    private final ByteBuffer file;
    private final long entry;
    private final List<Part> parts = new ArrayList<>();
    private long[] note = {};

    /**
     * What lies somewhere in memory.
     *
     * @param address where, a multiple of the page size
     * @param size how many bytes, above 0
     * @param offset where its bytes begin in the file
     * @param fileSize how many there are; the others are zero
     * @param writable whether the guest may write it
     * @param executable whether the guest may run it
     */
    record Part(long address, long size, int offset, int fileSize, boolean writable, boolean executable) {
        long end() {
            return address + size;
        }
    }

    /** One of the tables that the guest's macros fill. */
    enum Table {
        /** {@code struct jkvm_record}. */
        RECORDS(24),
        /** {@code struct jkvm_export}. */
        EXPORTS(32),
        /** {@code struct jkvm_import}. */
        IMPORTS(40);

        private final int bytes;

        Table(int bytes) {
            this.bytes = bytes;
        }
    }

    /** Numbers of the note: the version, the ends of the tables, and where the guest goes on after the doorbell. */
    private static final int NOTE_TABLES = 1;

    private static final int NOTE_NEXT = NOTE_TABLES + 2 * Table.values().length;
    private static final int NEXTS = 8;
    private static final int NOTE_NUMBERS = NOTE_NEXT + NEXTS;
    private static final byte[] NOTE_NAME = "jkvm\0".getBytes(StandardCharsets.US_ASCII);
    private static final int NOTE_HEADER = 12;

    /** Reads a file. */
    GuestImage(byte[] bytes) {
        file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        if (bytes.length < EHDR_BYTES || file.getInt(0) != MAGIC) {
            throw new BadGuestException("it is no ELF file of " + EHDR_BYTES + " bytes or more" + REMEDY);
        }
        if (file.getShort(4) != CLASS_64_LITTLE_ENDIAN
                || file.getShort(16) != TYPE_EXEC
                || file.getShort(18) != MACHINE_X86_64) {
            throw new BadGuestException(
                    "it is no 64-bit x86 executable with fixed addresses; use -m64 -static -no-pie");
        }
        entry = file.getLong(24);
        readProgramHeaders();
        if (note.length == 0) {
            throw new BadGuestException("it has no note of jkvm" + REMEDY);
        }
        if (parts.stream().noneMatch(part -> part.executable() && contains(part, entry, 1))) {
            throw new BadGuestException(
                    "its entry 0x" + Long.toHexString(entry) + " is not in executable memory" + REMEDY);
        }
    }

    private void readProgramHeaders() {
        long table = file.getLong(32);
        int count = Short.toUnsignedInt(file.getShort(56));
        if (file.getShort(54) != PHDR_BYTES || count == 0 || count > MAX_SEGMENTS) {
            throw new BadGuestException("it has " + count + " program headers of " + file.getShort(54)
                    + " bytes; there must be 1 to " + MAX_SEGMENTS + " of " + PHDR_BYTES);
        }
        checkInFile("program headers", table, (long) count * PHDR_BYTES);
        for (int i = 0; i < count; i++) {
            int at = (int) table + i * PHDR_BYTES;
            switch (file.getInt(at)) {
                case PT_LOAD -> readPart(at);
                case PT_NOTE -> readNotes(at);
                default -> {
                    // Says nothing about memory.
                }
            }
        }
        parts.sort(Comparator.comparingLong(Part::address));
        for (int i = 1; i < parts.size(); i++) {
            if (parts.get(i).address() < pageEnd(parts.get(i - 1).end())) {
                throw new BadGuestException("two segments share the page at 0x"
                        + Long.toHexString(parts.get(i).address()) + REMEDY);
            }
        }
    }

    private void readPart(int at) {
        int flags = file.getInt(at + 4);
        long offset = file.getLong(at + 8);
        long address = file.getLong(at + 16);
        long fileSize = file.getLong(at + 32);
        long size = file.getLong(at + 40);
        if (size == 0) {
            return;
        }
        checkInFile("a segment", offset, fileSize);
        String place = "segment at 0x" + Long.toHexString(address) + " of 0x" + Long.toHexString(size) + " bytes";
        if (address < BASE
                || address % PAGE != 0
                || size < fileSize
                || size > MemoryPlan.MAX_MEMORY
                || address > BASE + MemoryPlan.MAX_MEMORY - size) {
            throw new BadGuestException(
                    place + " must begin at a page from 0x" + Long.toHexString(BASE) + " on" + REMEDY);
        }
        boolean writable = (flags & PF_W) != 0;
        boolean executable = (flags & PF_X) != 0;
        if (writable && executable) {
            throw new BadGuestException(place + " can be both written and run" + REMEDY);
        }
        parts.add(new Part(address, size, (int) offset, (int) fileSize, writable, executable));
    }

    private void readNotes(int header) {
        long start = file.getLong(header + 8);
        long size = file.getLong(header + 32);
        checkInFile("notes", start, size);
        long end = start + size;
        long at = start;
        while (at <= end - NOTE_HEADER) {
            long nameSize = Integer.toUnsignedLong(file.getInt((int) at));
            long numbersSize = Integer.toUnsignedLong(file.getInt((int) at + 4));
            long numbers = (at + NOTE_HEADER + nameSize + 3) & -4L;
            if (numbers > end || numbersSize > end - numbers) {
                throw new BadGuestException("a note at offset " + at + " passes the end of the notes");
            }
            if (nameSize == NOTE_NAME.length && isNoteName((int) at + NOTE_HEADER)) {
                readNumbers((int) numbers, numbersSize);
            }
            at = (numbers + numbersSize + 3) & -4L;
        }
    }

    private boolean isNoteName(int at) {
        for (int i = 0; i < NOTE_NAME.length; i++) {
            if (file.get(at + i) != NOTE_NAME[i]) {
                return false;
            }
        }
        return true;
    }

    private void readNumbers(int at, long size) {
        long version = size >= Long.BYTES ? file.getLong(at) : 0;
        if (version != VERSION || size != (long) NOTE_NUMBERS * Long.BYTES) {
            throw new BadGuestException(
                    "it was built with version " + version + " of jkvm-sandbox.S, and this is version " + VERSION
                            + "; build it again with the files of this version");
        }
        note = new long[NOTE_NUMBERS];
        for (int i = 0; i < NOTE_NUMBERS; i++) {
            note[i] = file.getLong(at + i * Long.BYTES);
        }
    }

    private void checkInFile(String what, long offset, long size) {
        if (offset < 0 || size < 0 || offset > file.limit() - size) {
            throw new BadGuestException("the file of " + file.limit() + " bytes is too short for " + what + " of "
                    + Long.toUnsignedString(size) + " bytes from offset " + Long.toUnsignedString(offset));
        }
    }

    /** First multiple of the page size from an address on. */
    static long pageEnd(long address) {
        return (address + PAGE - 1) & -PAGE;
    }

    private static boolean contains(Part part, long address, long length) {
        return address >= part.address() && length <= part.size() && address <= part.end() - length;
    }

    /** What lies where, by addresses. */
    List<Part> parts() {
        return List.copyOf(parts);
    }

    /** The bytes of a part that are in the file. */
    ByteBuffer bytes(Part part) {
        return file.slice(part.offset(), part.fileSize());
    }

    /** Where a processor begins. */
    long entry() {
        return entry;
    }

    /** Where the guest goes on after the doorbell to call a function with so many whole numbers and nothing else, 0 to 6. */
    long next(int wholeNumbers) {
        return note[NOTE_NEXT + wholeNumbers];
    }

    /** Where the guest goes on to call any function. */
    long nextForAny() {
        return note[NOTE_NEXT + NEXTS - 1];
    }

    /** The addresses of the entries of a table. */
    List<Long> entries(Table table) {
        long start = note[NOTE_TABLES + 2 * table.ordinal()];
        long end = note[NOTE_TABLES + 2 * table.ordinal() + 1];
        long size = end - start;
        if (size < 0 || size % table.bytes != 0 || size / table.bytes > MAX_ENTRIES) {
            throw new BadGuestException("its table of " + table + " from 0x" + Long.toHexString(start) + " to 0x"
                    + Long.toHexString(end) + " has not 0 to " + MAX_ENTRIES + " entries of " + table.bytes + " bytes");
        }
        List<Long> entries = new ArrayList<>();
        for (long at = start; at < end; at += table.bytes) {
            entries.add(at);
        }
        return entries;
    }

    /** Reads a number of the guest's memory as it is at first. */
    long number(long address) {
        Part part = part(address, Long.BYTES).orElseThrow(() -> notInFile(address));
        return file.getLong(part.offset() + (int) (address - part.address()));
    }

    /** Reads a text of the guest's memory as it is at first. */
    String text(long address) {
        Part part = part(address, 1).orElseThrow(() -> notInFile(address));
        int start = part.offset() + (int) (address - part.address());
        int limit = Math.min(part.offset() + part.fileSize(), start + MAX_TEXT);
        int end = start;
        while (end < limit && file.get(end) != 0) {
            end++;
        }
        if (end == limit) {
            throw new BadGuestException("the text at 0x" + Long.toHexString(address) + " has no end within " + MAX_TEXT
                    + " bytes and its segment");
        }
        return new String(file.array(), start, end - start, StandardCharsets.UTF_8);
    }

    /** Tells whether the guest can run what is at an address. */
    boolean isExecutable(long address) {
        return parts.stream().anyMatch(part -> part.executable() && contains(part, address, 1));
    }

    private Optional<Part> part(long address, int length) {
        return parts.stream()
                .filter(part -> address >= part.address()
                        && length <= part.fileSize()
                        && address <= part.address() + part.fileSize() - length)
                .findFirst();
    }

    private static BadGuestException notInFile(long address) {
        return new BadGuestException(
                "its tables name address 0x" + Long.toHexString(address) + ", where the file has nothing");
    }
}
