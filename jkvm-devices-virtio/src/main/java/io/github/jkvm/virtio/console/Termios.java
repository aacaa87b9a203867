package io.github.jkvm.virtio.console;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;

/** Settings of a terminal: the kernel's {@code struct termios} (Linux, include/uapi/asm-generic/termbits.h). */
final class Termios {
    private static final int CONTROL_CHARACTERS = 19;

    static final StructLayout LAYOUT = MemoryLayout.structLayout(
            ValueLayout.JAVA_INT.withName("c_iflag"),
            ValueLayout.JAVA_INT.withName("c_oflag"),
            ValueLayout.JAVA_INT.withName("c_cflag"),
            ValueLayout.JAVA_INT.withName("c_lflag"),
            ValueLayout.JAVA_BYTE.withName("c_line"),
            MemoryLayout.sequenceLayout(CONTROL_CHARACTERS, ValueLayout.JAVA_BYTE)
                    .withName("c_cc"));

    private static final long INPUT = offset("c_iflag");
    private static final long OUTPUT = offset("c_oflag");
    private static final long CONTROL = offset("c_cflag");
    private static final long LOCAL = offset("c_lflag");

    private static final int IGNBRK = 0x1;
    private static final int BRKINT = 0x2;
    private static final int PARMRK = 0x8;
    private static final int ISTRIP = 0x20;
    private static final int INLCR = 0x40;
    private static final int IGNCR = 0x80;
    private static final int ICRNL = 0x100;
    private static final int IXON = 0x400;
    private static final int OPOST = 0x1;
    private static final int CSIZE = 0x30;
    private static final int CS8 = 0x30;
    private static final int PARENB = 0x100;
    private static final int ISIG = 0x1;
    private static final int ICANON = 0x2;
    private static final int ECHO = 0x8;
    private static final int ECHONL = 0x40;
    private static final int IEXTEN = 0x8000;

    private Termios() {}

    private static long offset(String field) {
        return LAYOUT.byteOffset(MemoryLayout.PathElement.groupElement(field));
    }

    /** Has all bytes pass as they are: what {@code cfmakeraw(3)} does. */
    static void makeRaw(MemorySegment settings) {
        clear(settings, INPUT, IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        clear(settings, OUTPUT, OPOST);
        clear(settings, LOCAL, ECHO | ECHONL | ICANON | ISIG | IEXTEN);
        clear(settings, CONTROL, CSIZE | PARENB);
        settings.set(ValueLayout.JAVA_INT, CONTROL, settings.get(ValueLayout.JAVA_INT, CONTROL) | CS8);
    }

    private static void clear(MemorySegment settings, long field, int bits) {
        settings.set(ValueLayout.JAVA_INT, field, settings.get(ValueLayout.JAVA_INT, field) & ~bits);
    }
}
