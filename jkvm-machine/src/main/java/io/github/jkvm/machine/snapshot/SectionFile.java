package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.zip.CRC32C;

/**
 * Named byte strings, each with a checksum, and one over all: {@code "JKVMSNAP"}, version, number of sections; for each its name, length, CRC-32C and
 * bytes; and the CRC-32C of all before. Numbers are big-endian.
 */
final class SectionFile {
    /** Of what else is here, and of what the sections hold: a build that reads another is refused by {@link SavedMachine#LAYOUT}. */
    static final int VERSION = 1;

    /** Far more than the states of all devices take. */
    static final int MAX_SIZE = 256 << 20;

    private static final long MAGIC = 0x4A4B_564D_534E_4150L;

    private SectionFile() {}

    static byte[] encode(SequencedMap<String, Bytes> sections) throws IOException {
        var bytes = new ByteArrayOutputStream();
        var out = new DataOutputStream(bytes);
        out.writeLong(MAGIC);
        out.writeInt(VERSION);
        out.writeInt(sections.size());
        for (Map.Entry<String, Bytes> section : sections.entrySet()) {
            byte[] contents = section.getValue().toArray();
            out.writeUTF(section.getKey());
            out.writeInt(contents.length);
            out.writeInt(checksum(contents, contents.length));
            out.write(contents);
        }
        byte[] before = bytes.toByteArray();
        out.writeInt(checksum(before, before.length));
        if (bytes.size() > MAX_SIZE) {
            throw new IOException("the states of the machine's devices take " + bytes.size() + " bytes; at most "
                    + MAX_SIZE + " can be kept");
        }
        return bytes.toByteArray();
    }

    /**
     * Reads what {@link #encode} wrote. The bytes may come from anywhere.
     *
     * @throws BadSectionException if they are not such a file; the text names the first section that is damaged
     */
    static SequencedMap<String, Bytes> decode(byte[] file) throws BadSectionException {
        String at = "header";
        try (var in = new DataInputStream(new ByteArrayInputStream(file))) {
            if (in.readLong() != MAGIC) {
                throw new BadSectionException(at, "does not begin with 'JKVMSNAP': this file is no snapshot");
            }
            int version = in.readInt();
            if (version != VERSION) {
                throw new BadSectionException(at, "says version " + version + "; this build reads version " + VERSION);
            }
            int count = in.readInt();
            SequencedMap<String, Bytes> sections = new LinkedHashMap<>();
            for (int i = 0; i < count; i++) {
                at = "number " + i + " of " + count;
                at = in.readUTF();
                int length = in.readInt();
                int checksum = in.readInt();
                if (length < 0 || length > in.available()) {
                    throw new BadSectionException(
                            at, "claims " + length + " bytes; " + in.available() + " are left: the file is cut short");
                }
                byte[] contents = in.readNBytes(length);
                if (checksum(contents, length) != checksum) {
                    throw new BadSectionException(at, "is damaged: its checksum is another");
                }
                if (sections.put(at, Bytes.copyOf(contents)) != null) {
                    throw new BadSectionException(at, "is there twice");
                }
            }
            at = "end";
            int position = file.length - in.available();
            if (in.readInt() != checksum(file, position)) {
                throw new BadSectionException(at, "is damaged: the checksum of the whole file is another");
            }
            if (in.available() != 0) {
                throw new BadSectionException(at, "is followed by " + in.available() + " stray bytes");
            }
            return sections;
        } catch (EOFException e) {
            throw new BadSectionException(at, "is cut short: the file has only " + file.length + " bytes");
        } catch (IOException e) {
            throw new BadSectionException(at, "has a name that is no text");
        }
    }

    private static int checksum(byte[] bytes, int length) {
        var crc = new CRC32C();
        crc.update(bytes, 0, length);
        return (int) crc.getValue();
    }
}
