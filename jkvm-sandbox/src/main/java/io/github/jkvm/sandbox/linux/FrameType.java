package io.github.jkvm.sandbox.linux;

import org.jspecify.annotations.Nullable;

/** Kinds of frames; {@code wire.h} of the agent tells what is in them. */
enum FrameType {
    PREPARE('T'),
    ARGUMENT('A'),
    VARIABLE('V'),
    DIRECTORY('D'),
    USER('U'),
    NAMED('M'),
    EXECUTE('X'),
    PUT('P'),
    GET('G'),
    NETWORK('W'),
    INPUT('I'),
    SIGNAL('K'),
    CREDIT('C'),
    ENTRY('N'),
    BYTES('B'),
    END('Z'),
    READY('R'),
    STARTED('S'),
    OUTPUT('1'),
    ERRORS('2'),
    ENDED('O'),
    DEAF('L'),
    EXITED('Q'),
    DONE('F'),
    FAILED('E');

    private static final @Nullable FrameType[] BY_CODE = new @Nullable FrameType[1 << Byte.SIZE];

    static {
        for (FrameType type : values()) {
            BY_CODE[type.code] = type;
        }
    }

    private final byte code;

    FrameType(char letter) {
        code = (byte) letter;
    }

    byte code() {
        return code;
    }

    /** Returns what a byte stands for, or null if it stands for nothing. */
    static @Nullable FrameType of(byte code) {
        return BY_CODE[Byte.toUnsignedInt(code)];
    }
}
