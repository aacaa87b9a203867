package io.github.jkvm.machine.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** What is in an archive, as Linux reads it: Documentation/driver-api/early-userspace/buffer-format.rst. */
record CpioEntry(String name, int mode, int major, int minor, String contents) {
    private static final int HEADER = 110;

    static List<CpioEntry> read(byte[] archive) {
        List<CpioEntry> entries = new ArrayList<>();
        int at = 0;
        while (at < archive.length) {
            String header = new String(archive, at, HEADER, StandardCharsets.US_ASCII);
            assertThat(header).startsWith("070701");
            int[] fields = new int[13];
            for (int i = 0; i < fields.length; i++) {
                fields[i] = Integer.parseUnsignedInt(header, 6 + 8 * i, 14 + 8 * i, 16);
            }
            assertThat(fields[0]).as("Linux links entries of one inode").isEqualTo(entries.size() + 1);
            int size = fields[6];
            int nameSize = fields[11];
            String name = new String(archive, at + HEADER, nameSize - 1, StandardCharsets.UTF_8);
            assertThat(archive[at + HEADER + nameSize - 1]).isZero();
            int data = (at + HEADER + nameSize + 3) & ~3;
            String contents = new String(archive, data, size, StandardCharsets.ISO_8859_1);
            entries.add(new CpioEntry(name, fields[1], fields[9], fields[10], contents));
            at = (data + size + 3) & ~3;
        }
        assertThat(entries.removeLast().name()).isEqualTo("TRAILER!!!");
        return entries;
    }

    @Override
    public String toString() {
        String device = major == 0 ? "" : " " + major + ":" + minor;
        return Integer.toOctalString(mode) + " " + name + device + " " + contents.strip();
    }
}
