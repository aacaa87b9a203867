package io.github.jkvm.sandbox.function;

import java.util.List;
import java.util.stream.Collectors;

/**
 * A function as its C declaration has it.
 *
 * @param name its name
 * @param result what it gives
 * @param parameters what it takes
 */
public record Signature(String name, CType result, List<CType> parameters) {
    /** Copies the parameters. */
    public Signature {
        parameters = List.copyOf(parameters);
    }

    /** Returns the C declaration. */
    @Override
    public String toString() {
        String types = parameters.isEmpty()
                ? "void"
                : parameters.stream().map(CType::toString).collect(Collectors.joining(", "));
        return result + (result.toString().endsWith("*") ? "" : " ") + name + "(" + types + ")";
    }
}
