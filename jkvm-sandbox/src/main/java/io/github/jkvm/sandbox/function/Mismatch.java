package io.github.jkvm.sandbox.function;

import java.lang.invoke.MethodType;
import java.util.function.Supplier;

/** What is said when Java and the guest have a function of one name and two types. */
final class Mismatch {
    private Mismatch() {}

    static void checkCount(Signature signature, MethodType type) {
        if (signature.parameters().size() != type.parameterCount()) {
            throw new IllegalArgumentException(both(signature, type) + ": the number of parameters is another");
        }
    }

    /** Does something for a part of a function; what is wrong with it is said with both types of the function. */
    static <T> T named(Signature signature, MethodType type, String part, Supplier<T> action) {
        try {
            return action.get();
        } catch (IllegalArgumentException mismatch) {
            throw new IllegalArgumentException(
                    both(signature, type) + ": " + part + ": " + mismatch.getMessage(), mismatch.getCause());
        }
    }

    private static String both(Signature signature, MethodType type) {
        return "the guest has " + signature + ", and Java has " + signature.name() + type;
    }
}
