package io.github.jkvm.sandbox.function;

/** A file that is no guest of a function sandbox. */
final class BadGuestException extends IllegalArgumentException {
    private static final long serialVersionUID = 1L;

    BadGuestException(String message) {
        super("the guest can't be loaded: " + message);
    }
}
