package io.github.jkvm.sandbox.function;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.InaccessibleObjectException;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Interfaces whose methods are functions: of a guest for Java, or of Java for a guest. */
public final class InterfaceBinding {
    private InterfaceBinding() {}

    /**
     * Makes an object whose methods call functions of the guest.
     *
     * @param <I> the interface
     * @param type the interface
     * @param functions the guest's
     * @return the object
     * @throws IllegalArgumentException if it is no interface, or a method has no function of its name and type
     */
    public static <I> I toGuest(Class<I> type, GuestFunctions functions) {
        checkInterface(type);
        Map<Method, MethodHandle> handles = new HashMap<>();
        for (Method method : type.getMethods()) {
            if (Modifier.isAbstract(method.getModifiers())) {
                MethodHandle handle = functions.handle(method.getName(), type(method));
                handles.put(
                        method,
                        handle.asType(handle.type().generic()).asSpreader(Object[].class, method.getParameterCount()));
            }
        }
        Object[] none = {};
        InvocationHandler handler = (proxy, method, arguments) -> {
            MethodHandle handle = handles.get(method);
            if (handle != null) {
                return handle.invokeExact(arguments == null ? none : arguments);
            }
            return method.isDefault()
                    ? InvocationHandler.invokeDefault(proxy, method, arguments)
                    : ofEveryObject(type, proxy, method, arguments);
        };
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    private static Object ofEveryObject(Class<?> type, Object proxy, Method method, @Nullable Object[] arguments) {
        return switch (method.getName()) {
            case "equals" -> isSame(proxy, arguments[0]);
            case "hashCode" -> System.identityHashCode(proxy);
            default -> "functions of a guest as " + type.getTypeName();
        };
    }

    @SuppressWarnings("ReferenceEquality") // what equals of every object does
    private static boolean isSame(Object proxy, Object other) {
        return proxy == other;
    }

    /**
     * Returns the methods of an interface as functions by their names.
     *
     * @param <I> the interface
     * @param type the interface
     * @param functions what has the methods
     * @return the functions
     * @throws IllegalArgumentException if it is no interface, or not accessible, or two methods have one name
     */
    public static <I> Map<String, MethodHandle> ofHost(Class<I> type, I functions) {
        checkInterface(type);
        Objects.requireNonNull(functions, "functions");
        Map<String, MethodHandle> handles = new LinkedHashMap<>();
        for (Method method : type.getMethods()) {
            if (!Modifier.isAbstract(method.getModifiers())) {
                continue;
            }
            try {
                method.setAccessible(true);
                MethodHandle handle = MethodHandles.lookup().unreflect(method).bindTo(functions);
                if (handles.put(method.getName(), handle) != null) {
                    throw new IllegalArgumentException("interface " + type.getTypeName() + " has two methods named '"
                            + method.getName() + "'; C functions have names alone: rename one");
                }
            } catch (IllegalAccessException | InaccessibleObjectException hidden) {
                throw new IllegalArgumentException(
                        "interface " + type.getTypeName()
                                + " can't be used from the module io.github.jkvm.sandbox; open its package: opens "
                                + type.getPackageName() + " to io.github.jkvm.sandbox;",
                        hidden);
            }
        }
        return handles;
    }

    private static void checkInterface(Class<?> type) {
        if (!type.isInterface()) {
            throw new IllegalArgumentException(type.getTypeName() + " is no interface");
        }
    }

    private static MethodType type(Method method) {
        return MethodType.methodType(method.getReturnType(), method.getParameterTypes());
    }
}
