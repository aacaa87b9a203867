package io.github.jkvm.kvm.ffi;

import io.github.jkvm.HypervisorUnavailableException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Links C functions, and keeps it as a value when this is not allowed or not possible, so that a program can ask why before it
 * needs them.
 */
public final class NativeAccess {
    private static final StructLayout CAPTURE = Linker.Option.captureStateLayout();
    private static final VarHandle CAPTURED_ERRNO =
            CAPTURE.varHandle(MemoryLayout.PathElement.groupElement("errno")).withInvokeExactBehavior();

    /** One for each thread that calls: a captured errno must not be overwritten before it is read. Freed with its thread. */
    private static final ThreadLocal<MemorySegment> CAPTURED =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(CAPTURE));

    private static volatile @Nullable String whyNot;

    private NativeAccess() {}

    /**
     * Tells why C functions can't be called.
     *
     * @return one sentence with the remedy, or null if they can
     */
    public static @Nullable String whyNot() {
        Libc.linkAll();
        return whyNot;
    }

    /** A function that sets errno. Its handle takes the calling thread's {@link #captured()} segment first. */
    static MethodHandle link(String function, FunctionDescriptor descriptor) {
        return link(function, descriptor, -1);
    }

    /** The same for a function whose arguments from {@code firstVariadic} on are behind its {@code ...}. */
    static MethodHandle link(String function, FunctionDescriptor descriptor, int firstVariadic) {
        List<Linker.Option> options = new ArrayList<>();
        options.add(Linker.Option.captureCallState("errno"));
        if (firstVariadic >= 0) {
            options.add(Linker.Option.firstVariadicArg(firstVariadic));
        }
        MethodType type = descriptor.toMethodType().insertParameterTypes(0, MemorySegment.class);
        if (whyNot != null) {
            return refusing(type);
        }
        try {
            return downcall(function, descriptor, options);
        } catch (IllegalCallerException denied) {
            whyNot = "Java may not call native functions; start it with --enable-native-access=" + moduleName()
                    + " (in the manifest of a jar given to java -jar: Enable-Native-Access: ALL-UNNAMED)";
        } catch (UnsupportedOperationException | UnsatisfiedLinkError | IllegalArgumentException missing) {
            whyNot = "the C function " + function + " can't be linked on " + System.getProperty("os.name") + " "
                    + System.getProperty("os.arch") + " (" + missing.getMessage()
                    + "); use a 64-bit Linux with glibc 2.27 or musl 1.2 or later";
        }
        return refusing(type);
    }

    /** Address of a function, to be given to another one as a handler. */
    static MemorySegment address(String function) {
        return Linker.nativeLinker()
                .defaultLookup()
                .find(function)
                .orElseThrow(() -> new UnsatisfiedLinkError("no function " + function + " in the C library"));
    }

    /** The segment in which calls of this thread leave their errno. */
    static MemorySegment captured() {
        return CAPTURED.get();
    }

    /** The errno of this thread's last call. Means something only if that call failed. */
    static int errno(MemorySegment captured) {
        return (int) CAPTURED_ERRNO.get(captured, 0L);
    }

    /** Rethrows what a method handle declares but a C function can't throw. */
    static RuntimeException rethrow(Throwable thrown) {
        return switch (thrown) {
            case RuntimeException runtime -> runtime;
            case Error error -> throw error;
            default -> throw new AssertionError(thrown);
        };
    }

    @SuppressWarnings("restricted") // the one place that links
    private static MethodHandle downcall(String function, FunctionDescriptor descriptor, List<Linker.Option> options) {
        return Linker.nativeLinker()
                .downcallHandle(address(function), descriptor, options.toArray(Linker.Option[]::new));
    }

    private static String moduleName() {
        Module module = NativeAccess.class.getModule();
        return module.isNamed() ? module.getName() : "ALL-UNNAMED";
    }

    private static MethodHandle refusing(MethodType type) {
        try {
            MethodHandle refuse = MethodHandles.lookup()
                    .findStatic(NativeAccess.class, "refuse", MethodType.methodType(RuntimeException.class));
            MethodHandle thrower = MethodHandles.collectArguments(
                    MethodHandles.throwException(type.returnType(), RuntimeException.class), 0, refuse);
            return MethodHandles.dropArguments(thrower, 0, type.parameterList());
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("the method refuse of this class is missing", e);
        }
    }

    @SuppressWarnings("UnusedMethod") // found by its name above
    private static RuntimeException refuse() {
        return new HypervisorUnavailableException(whyNot == null ? "native functions are not available" : whyNot);
    }
}
