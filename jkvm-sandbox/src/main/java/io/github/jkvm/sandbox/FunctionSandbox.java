package io.github.jkvm.sandbox;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.function.CallTable;
import io.github.jkvm.sandbox.function.GuestFiles;
import io.github.jkvm.sandbox.function.GuestFunctions;
import io.github.jkvm.sandbox.function.InterfaceBinding;
import io.github.jkvm.sandbox.function.NamedCalls;
import java.io.IOException;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/**
 * A sandbox whose guest is a set of functions, written in C or what links with it, that Java calls by name with typed arguments.
 *
 * <p>{@snippet lang = java :
 * try (var sandbox = FunctionSandbox.builder(hypervisor, Path.of("guest.elf"))
 *         .hostFunction("log", log)
 *         .limits(Limits.DEFAULT.withDeadline(Duration.ofMillis(100)))
 *         .build()) {
 *     String greeting = sandbox.call("greet", String.class, "Ann");
 * }
 * }
 *
 * <p>The guest computes and calls the functions of the host that it was given; there is nothing else for it: no ports, no devices, no kernel. It runs as a
 * user of its own virtual machine, at privilege level 3 with page tables that it can't change: the processor keeps it from its code, from running data and
 * from registers of the system, and whatever gets past the processor is in a machine with nothing in it. Any exit that is not the doorbell ends the call and
 * poisons the sandbox.
 *
 * <p>Types: {@code boolean}, {@code int}, {@code long}, {@code float}, {@code double}, {@code String} (UTF-8 without NUL), {@code byte[]}, records of
 * these and of such records, and {@code void} as a result. None is ever null. Java's types must be those that the guest declares: what differs is refused when
 * a function is bound, with both declarations in the text.
 *
 * <p>A call runs on the calling thread, on one of the guest's vCPUs, each of which has a stack, a heap and a call page of its own; static data is the same
 * for all. When all vCPUs are in use, a call waits for one, which counts for none of its {@link Limits}. From within a function of the host, the sandbox
 * that called it can't be called or restored, which is an {@link IllegalStateException}; it may be cancelled and closed, which happens when the function
 * returns.
 *
 * <p>Calls throw
 * <ul>
 *   <li>{@link GuestErrorException} if the guest's function reports an error: the sandbox stays as ready as it was;
 *   <li>{@link GuestCrashedException} if the guest does what it may not, {@link LimitExceededException} and {@link CallCancelledException}: the sandbox
 *       is poisoned, and other calls that run are cancelled;
 *   <li>{@link IllegalArgumentException} and {@link NullPointerException} for values that can't be given to a guest: it has not run;
 *   <li>{@link IllegalStateException} if the sandbox is poisoned or closed.
 * </ul>
 *
 * <p>An exception of a function of the host ends the guest's function with its message, unless the guest catches it; if it arrives at the caller as a
 * {@link GuestErrorException}, it is that one's cause. An {@link Error} goes to the caller itself, and the sandbox is poisoned.
 *
 * <p>Guests are built with files that this library brings: see {@link #copyGuestFiles}.
 */
public final class FunctionSandbox implements Sandbox {
    private final CallTable table;
    private final GuestFunctions functions;
    private final NamedCalls named;

    FunctionSandbox(CallTable table, GuestFunctions functions) {
        this.table = table;
        this.functions = functions;
        this.named = new NamedCalls(functions);
    }

    /**
     * Begins a sandbox for a guest in a file.
     *
     * @param hypervisor where it runs, an x86 one
     * @param elf the guest, an ELF file
     * @return a builder
     * @throws IOException if the file can't be read
     */
    public static FunctionSandboxBuilder builder(Hypervisor hypervisor, Path elf) throws IOException {
        return builder(hypervisor, Files.readAllBytes(elf));
    }

    /**
     * Begins a sandbox for a guest.
     *
     * @param hypervisor where it runs, an x86 one
     * @param elf the guest, the contents of an ELF file
     * @return a builder
     */
    public static FunctionSandboxBuilder builder(Hypervisor hypervisor, byte[] elf) {
        return new FunctionSandboxBuilder(Objects.requireNonNull(hypervisor, "hypervisor"), elf.clone());
    }

    /**
     * Writes the files that guests are built with: {@code jkvm-sandbox.h}, which says how, {@code jkvm-sandbox.c}, {@code jkvm-sandbox.S} and
     * {@code jkvm-sandbox.ld}. Files of these names are replaced.
     *
     * @param folder where to, an existing folder
     * @throws IOException if they can't be written
     */
    public static void copyGuestFiles(Path folder) throws IOException {
        GuestFiles.copyTo(folder);
    }

    /**
     * Calls a function: for occasional calls, as the arguments are boxed and the types are looked up; see {@link #function}.
     *
     * @param <R> type of the result
     * @param name the function's name
     * @param result its type: of primitive types either class, such as {@code long.class} and {@code Long.class}; for a function without a
     *     result, {@code void.class} or {@code Void.class}
     * @param arguments the arguments; those of primitive types may be of a narrower type
     * @return the result; null of a function that has none
     * @throws IllegalArgumentException if there is no function of that name or the types are not the guest's
     * @throws IllegalStateException if the sandbox is poisoned or closed
     * @throws SandboxException if the call comes to no good end, as the class says
     */
    public <R> R call(String name, Class<R> result, Object... arguments) {
        return named.call(name, result, arguments);
    }

    /**
     * Returns a handle that calls a function. With {@code invokeExact}, calls of primitive types allocate nothing.
     *
     * @param name the function's name
     * @param type its type in Java
     * @return a handle of that type, which throws what the class says; good for all the sandbox's life
     * @throws IllegalArgumentException if there is no function of that name, or it has another type; the text names both
     */
    public MethodHandle function(String name, MethodType type) {
        return functions.handle(name, type);
    }

    /**
     * Returns an object whose methods are functions of the guest. Methods with a body keep it.
     *
     * @param <I> the interface
     * @param type an interface whose methods have names and types of functions of the guest
     * @return the object
     * @throws IllegalArgumentException if it is no interface, or for a method there is no function, or one of another type; the text names both
     */
    public <I> I bind(Class<I> type) {
        return InterfaceBinding.toGuest(type, functions);
    }

    /**
     * Makes the state that the guest is in now the one that {@link #restore()} goes to: for guests that first have to load or compute something. Waits for
     * calls that run.
     *
     * @throws IllegalStateException if the sandbox is poisoned or closed, or a function of the host does this in a call
     * @throws io.github.jkvm.HypervisorException if the host has no memory for it; the sandbox is poisoned then
     */
    public void checkpoint() {
        table.checkpoint();
    }

    @Override
    public SandboxState state() {
        return table.state();
    }

    /**
     * {@inheritDoc} Here that is the state before the first call, or at the last {@link #checkpoint()}. Waits for functions of the host that run.
     */
    @Override
    public void restore() {
        table.restore();
    }

    @Override
    public void cancel() {
        table.cancel();
    }

    @Override
    public void close() {
        table.close();
    }
}
