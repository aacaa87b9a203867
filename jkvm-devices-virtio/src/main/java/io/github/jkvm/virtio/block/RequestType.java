package io.github.jkvm.virtio.block;

/** What a request asks for (virtio 1.2, 5.2.6), as far as it is known here. */
enum RequestType {
    READ(0),
    WRITE(1),
    FLUSH(4),
    GET_ID(8),
    DISCARD(11),
    WRITE_ZEROES(13),
    /** All other numbers. */
    UNKNOWN(-1);

    private static final RequestType[] ALL = values();

    /** {@code type} of the request's header. */
    private final int number;

    RequestType(int number) {
        this.number = number;
    }

    static RequestType of(int number) {
        for (RequestType type : ALL) {
            if (type.number == number) {
                return type;
            }
        }
        return UNKNOWN;
    }

    boolean changesDisk() {
        return this == WRITE || this == DISCARD || this == WRITE_ZEROES;
    }
}
