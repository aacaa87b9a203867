package io.github.jkvm.sandbox.function;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** Ties functions of the host to the guest's wishes for them. */
final class HostFunctions {
    private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();
    private static final MethodHandle PAGE = find("page", MethodType.methodType(CallPage.class));
    private static final MethodHandle ARGUMENT = find("argument", MethodType.methodType(long.class, int.class));

    private HostFunctions() {}

    /**
     * A function as the guest calls it.
     *
     * @param count number of its arguments
     * @param handle takes them from the page, calls it, and puts its result there: {@code (Call)void}
     */
    record Bound(int count, MethodHandle handle) {}

    static MethodHandle find(String name, MethodType type) {
        try {
            return LOOKUP.findVirtual(Call.class, name, type);
        } catch (ReflectiveOperationException missing) {
            throw new LinkageError(name, missing);
        }
    }

    /** Returns {@code (Call)CallPage}. */
    static MethodHandle page() {
        return PAGE;
    }

    /**
     * Finds a function for each wish.
     *
     * @throws IllegalArgumentException if there is none, or one of another type; the text names both
     */
    static List<Bound> bind(List<GuestInterface.Import> wishes, Map<String, MethodHandle> functions) {
        List<Bound> bound = new ArrayList<>();
        for (GuestInterface.Import wish : wishes) {
            String name = wish.signature().name();
            MethodHandle function = functions.get(name);
            if (function == null) {
                throw new IllegalArgumentException("the guest calls " + wish.signature()
                        + " of the host, which has no function of that name; it has "
                        + (functions.isEmpty() ? "none" : String.join(", ", new TreeSet<>(functions.keySet()))));
            }
            bound.add(bind(wish.signature(), function));
        }
        return List.copyOf(bound);
    }

    private static Bound bind(Signature signature, MethodHandle function) {
        MethodType type = function.type();
        int count = signature.parameters().size();
        Mismatch.checkCount(signature, type);
        MethodHandle[] readers = new MethodHandle[count];
        for (int i = 0; i < count; i++) {
            int index = i;
            MethodHandle reader = Mismatch.named(
                    signature,
                    type,
                    "parameter " + (i + 1),
                    () -> Words.reader(
                            type.parameterType(index), signature.parameters().get(index)));
            reader = MethodHandles.filterArguments(reader, 0, PAGE, MethodHandles.insertArguments(ARGUMENT, 1, i));
            readers[i] = onOneCall(reader);
        }
        MethodHandle body = onOneCall(MethodHandles.filterArguments(function.asFixedArity(), 0, readers));
        if (count == 0) {
            body = MethodHandles.dropArguments(function.asFixedArity(), 0, Call.class);
        }
        Mismatch.named(signature, type, "the result", () -> Values.of(type.returnType(), signature.result()));
        if (type.returnType() == void.class) {
            return new Bound(count, body);
        }
        MethodHandle writer = Words.writer(type.returnType(), signature.result());
        writer =
                MethodHandles.filterArguments(MethodHandles.insertArguments(writer, 1, (long) CallPage.VALUE), 0, PAGE);
        writer = MethodHandles.permuteArguments(
                writer, MethodType.methodType(void.class, type.returnType(), Call.class), 1, 0);
        return new Bound(count, MethodHandles.foldArguments(writer, body));
    }

    /** Makes a handle whose parameters are all calls one with a single call. */
    private static MethodHandle onOneCall(MethodHandle handle) {
        int[] allFirst = new int[handle.type().parameterCount()];
        Arrays.fill(allFirst, 0);
        return MethodHandles.permuteArguments(
                handle, MethodType.methodType(handle.type().returnType(), Call.class), allFirst);
    }
}
