package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import java.nio.charset.StandardCharsets;

/** Text in guest memory, closed by a zero byte as boot protocols want it. */
final class BootText {
    private BootText() {}

    static GuestRange plan(GuestLayout layout, CommandLine line) {
        return layout.lowest("command line", line.toString().length() + 1, Integer.BYTES);
    }

    static void write(GuestMemory memory, GuestRange where, CommandLine line) {
        write(memory, where.start(), line.toString());
    }

    static void write(GuestMemory memory, long where, String ascii) {
        memory.write(where, (ascii + '\0').getBytes(StandardCharsets.US_ASCII));
    }
}
