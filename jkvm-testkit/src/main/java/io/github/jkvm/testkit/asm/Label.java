package io.github.jkvm.testkit.asm;

/**
 * A place in a program that other places name, made by {@link Assembler#label} and put in place by {@link Assembler#bind}. It belongs to the
 * assembler that made it.
 */
public final class Label {
    private final Emitter owner;
    private final String name;
    private boolean bound;

    Label(Emitter owner, String name) {
        this.owner = owner;
        this.name = name;
    }

    /**
     * The name it was given, for messages and listings.
     *
     * @return not empty
     */
    public String name() {
        return name;
    }

    Emitter owner() {
        return owner;
    }

    /** Notes that the label has its place. */
    void markBound() {
        if (bound) {
            throw new IllegalStateException(
                    "label " + name + " is bound already; a label has one place, use another label for the second");
        }
        bound = true;
    }

    /** The name. */
    @Override
    public String toString() {
        return name;
    }
}
