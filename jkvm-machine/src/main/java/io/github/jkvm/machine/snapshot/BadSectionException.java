package io.github.jkvm.machine.snapshot;

/** A part of a snapshot is not what it must be. */
final class BadSectionException extends Exception {
    private static final long serialVersionUID = 1L;

    BadSectionException(String section, IllegalArgumentException malformed) {
        this(section, "is malformed: " + malformed.getMessage());
    }

    BadSectionException(String section, String problem) {
        super("section '" + section + "' " + problem, null, false, false);
    }
}
