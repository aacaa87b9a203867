package io.github.jkvm.sandbox.function;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Calls functions by name with boxed arguments, taking the types from the guest and, for records, from the arguments. */
public final class NamedCalls {
    private final GuestFunctions functions;
    private final Map<Key, MethodHandle> handles = new ConcurrentHashMap<>();

    private record Key(String name, MethodType type) {}

    /**
     * Creates it.
     *
     * @param functions the guest's
     */
    public NamedCalls(GuestFunctions functions) {
        this.functions = functions;
    }

    /**
     * Calls a function.
     *
     * @param <R> type of the result
     * @param name its name
     * @param result class of the result
     * @param arguments the arguments
     * @return the result
     * @throws IllegalArgumentException if there is no such function, or the types are not the guest's
     */
    @SuppressWarnings({"unchecked", "NullAway"
    }) // the handle's result is of that class, or of its box; null for void alone
    public <R> R call(String name, Class<R> result, Object[] arguments) {
        Signature signature = functions.signature(name);
        if (arguments.length != signature.parameters().size()) {
            throw new IllegalArgumentException("the guest has " + signature + ", and the call has " + arguments.length
                    + " arguments: " + Arrays.toString(arguments));
        }
        Class<?>[] types = new Class<?>[arguments.length];
        for (int i = 0; i < types.length; i++) {
            Object argument = Objects.requireNonNull(arguments[i], "an argument is null; C values have no null");
            types[i] = type(signature.parameters().get(i), argument);
        }
        Class<?> primitive = MethodType.methodType(result).unwrap().returnType();
        var key = new Key(name, MethodType.methodType(primitive, types));
        MethodHandle handle = handles.get(key);
        if (handle == null) {
            handle = functions
                    .handle(name, key.type())
                    .asType(key.type().generic())
                    .asSpreader(Object[].class, types.length);
            handles.put(key, handle);
        }
        return (R) invoke(handle, signature, arguments);
    }

    private static Class<?> type(CType declared, Object argument) {
        return declared instanceof CType.Basic basic ? new Values.OfBasic(basic).javaType() : argument.getClass();
    }

    private static @Nullable Object invoke(MethodHandle handle, Signature signature, Object[] arguments) {
        try {
            return handle.invokeExact(arguments);
        } catch (ClassCastException mismatch) {
            throw new IllegalArgumentException(
                    "the guest has " + signature + ", and the call has the arguments " + Arrays.toString(arguments)
                            + ": " + mismatch.getMessage(),
                    mismatch);
        } catch (RuntimeException | Error failure) {
            throw failure;
        } catch (Throwable checked) {
            throw new IllegalStateException(checked);
        }
    }
}
