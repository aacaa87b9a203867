package io.github.jkvm.sandbox.function;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Objects;

/** Makes handles that call functions of the guest. Calling one of primitive types allocates nothing. */
public final class GuestFunctions {
    private static final MethodHandle ENTER =
            HostFunctions.find("enter", MethodType.methodType(void.class, GuestInterface.Export.class));

    private final CallTable table;
    private final GuestInterface functions;
    private final MethodHandle acquire;
    private final MethodHandle release;

    /**
     * Creates them.
     *
     * @param table which has the processors
     * @param functions the guest's
     */
    public GuestFunctions(CallTable table, GuestInterface functions) {
        this.table = table;
        this.functions = functions;
        try {
            var lookup = MethodHandles.lookup();
            acquire = lookup.findVirtual(CallTable.class, "acquire", MethodType.methodType(Call.class))
                    .bindTo(table);
            release = lookup.findVirtual(
                            CallTable.class, "release", MethodType.methodType(void.class, Throwable.class, Call.class))
                    .bindTo(table);
        } catch (ReflectiveOperationException missing) {
            throw new LinkageError("CallTable", missing);
        }
    }

    /**
     * Returns the table that the calls go through.
     *
     * @return the table
     */
    public CallTable table() {
        return table;
    }

    /**
     * Returns the declaration of a function.
     *
     * @param name its name
     * @return the declaration
     * @throws IllegalArgumentException if there is none of that name
     */
    public Signature signature(String name) {
        return functions.export(name).signature();
    }

    /**
     * Makes a handle.
     *
     * @param name the function's name
     * @param type its type in Java
     * @return a handle of that type
     * @throws IllegalArgumentException if there is no function of that name, or it is of another type
     */
    public MethodHandle handle(String name, MethodType type) {
        GuestInterface.Export export = functions.export(Objects.requireNonNull(name, "name"));
        Signature signature = export.signature();
        Mismatch.checkCount(signature, type);
        MethodHandle reader = Mismatch.named(
                signature, type, "the result", () -> Words.reader(type.returnType(), signature.result()));
        // Read from the inside out: put the arguments, enter, take the result; release in any case; and acquire before
        // all that.
        MethodHandle body = MethodHandles.filterArguments(
                MethodHandles.insertArguments(reader, 1, (long) CallPage.VALUE), 0, HostFunctions.page());
        body = MethodHandles.foldArguments(body, MethodHandles.insertArguments(ENTER, 1, export));
        body = MethodHandles.dropArguments(body, 1, type.parameterList());
        for (int i = type.parameterCount() - 1; i >= 0; i--) {
            int index = i;
            MethodHandle writer = Mismatch.named(
                    signature,
                    type,
                    "parameter " + (i + 1),
                    () -> Words.writer(
                            type.parameterType(index), signature.parameters().get(index)));
            writer = MethodHandles.insertArguments(
                    writer, 1, (long) export.arguments().offsets().get(i));
            writer = MethodHandles.filterArguments(writer, 0, HostFunctions.page());
            writer = MethodHandles.dropArguments(writer, 1, type.parameterList().subList(0, i));
            body = MethodHandles.foldArguments(body, writer);
        }
        return MethodHandles.foldArguments(MethodHandles.tryFinally(body, cleanup(type.returnType())), acquire);
    }

    /** Returns {@code (Throwable, result, Call)result}, or {@code (Throwable, Call)void}. */
    private MethodHandle cleanup(Class<?> result) {
        if (result == void.class) {
            return release;
        }
        MethodHandle same = MethodHandles.dropArguments(MethodHandles.identity(result), 0, Throwable.class);
        same = MethodHandles.dropArguments(same, 2, Call.class);
        return MethodHandles.foldArguments(same, MethodHandles.dropArguments(release, 1, result));
    }
}
