package io.github.jkvm.machine.boot;

import io.github.jkvm.Bytes;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Makes small ELF files for tests: a header, program headers behind it, then their contents. */
final class ElfBuilder {
    static final int PT_LOAD = 1;
    static final int PT_NOTE = 4;

    private final boolean wide;
    private final List<Part> parts = new ArrayList<>();
    private long entry;

    private record Part(int type, long virtual, long physical, Bytes bytes, long memorySize, long alignment) {}

    private ElfBuilder(boolean wide) {
        this.wide = wide;
    }

    static ElfBuilder elf32() {
        return new ElfBuilder(false);
    }

    static ElfBuilder elf64() {
        return new ElfBuilder(true);
    }

    ElfBuilder entry(long value) {
        entry = value;
        return this;
    }

    ElfBuilder load(long virtual, long physical, byte[] bytes, long memorySize) {
        parts.add(new Part(PT_LOAD, virtual, physical, Bytes.copyOf(bytes), memorySize, 4096));
        return this;
    }

    ElfBuilder notes(int alignment, byte[]... notes) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] note : notes) {
            all.writeBytes(note);
        }
        parts.add(new Part(PT_NOTE, 0, 0, Bytes.copyOf(all.toByteArray()), all.size(), alignment));
        return this;
    }

    static byte[] note(int alignment, String name, int type, byte[] descriptor) {
        int at = padded(12 + name.length() + 1, alignment);
        byte[] bytes = new byte[padded(at + descriptor.length, alignment)];
        ByteBuffer note = little(bytes);
        note.putInt(name.length() + 1).putInt(descriptor.length).putInt(type);
        note.put(name.getBytes(StandardCharsets.US_ASCII));
        note.position(at).put(descriptor);
        return bytes;
    }

    static byte[] number(long value, int size) {
        byte[] bytes = new byte[Long.BYTES];
        little(bytes).putLong(value);
        return Arrays.copyOf(bytes, size);
    }

    int headersSize() {
        return (wide ? 64 : 52) + parts.size() * (wide ? 56 : 32);
    }

    byte[] build() {
        int header = wide ? 64 : 52;
        int programHeader = wide ? 56 : 32;
        int size = headersSize()
                + parts.stream().mapToInt(part -> part.bytes().length()).sum();
        byte[] bytes = new byte[size];
        ByteBuffer file = little(bytes);
        file.putInt(ElfFile.MAGIC).put((byte) (wide ? 2 : 1)).put((byte) 1).put((byte) 1);
        file.position(16).putShort((short) 2).putShort((short) (wide ? 62 : 3)).putInt(1);
        word(file, entry);
        word(file, header);
        word(file, 0);
        file.putInt(0).putShort((short) header).putShort((short) programHeader).putShort((short) parts.size());
        int contents = headersSize();
        for (int i = 0; i < parts.size(); i++) {
            Part part = parts.get(i);
            file.position(header + i * programHeader).putInt(part.type());
            if (wide) {
                file.putInt(7);
            }
            word(file, contents);
            word(file, part.virtual());
            word(file, part.physical());
            word(file, part.bytes().length());
            word(file, part.memorySize());
            if (!wide) {
                file.putInt(7);
            }
            word(file, part.alignment());
            file.put(contents, part.bytes().toArray());
            contents += part.bytes().length();
        }
        return bytes;
    }

    private void word(ByteBuffer file, long value) {
        if (wide) {
            file.putLong(value);
        } else {
            file.putInt((int) value);
        }
    }

    static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static int padded(int size, int alignment) {
        return (size + alignment - 1) / alignment * alignment;
    }
}
