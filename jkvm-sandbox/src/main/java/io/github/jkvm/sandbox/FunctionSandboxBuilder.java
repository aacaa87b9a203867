package io.github.jkvm.sandbox;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.function.CallTable;
import io.github.jkvm.sandbox.function.ChildGuest;
import io.github.jkvm.sandbox.function.FunctionGuest;
import io.github.jkvm.sandbox.function.GuestFunctions;
import io.github.jkvm.sandbox.function.GuestSizes;
import io.github.jkvm.sandbox.function.InterfaceBinding;
import io.github.jkvm.sandbox.function.KvmGuest;
import java.lang.invoke.MethodHandle;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/** What a {@link FunctionSandbox} is to be like. Not safe for use by many threads. */
public final class FunctionSandboxBuilder {
    private final Hypervisor hypervisor;
    private final byte[] elf;
    private final Map<String, MethodHandle> hostFunctions = new HashMap<>();
    private GuestSizes sizes = GuestSizes.DEFAULT;
    private Limits limits = Limits.DEFAULT;
    private Isolation isolation = Isolation.VIRTUAL_MACHINE;

    FunctionSandboxBuilder(Hypervisor hypervisor, byte[] elf) {
        this.hypervisor = hypervisor;
        this.elf = elf;
    }

    /**
     * Sets how much memory the guest has in all. The host gives only what is written.
     *
     * @param bytes the number, a multiple of 4096, at most 2 GiB; 16 MiB if not set
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public FunctionSandboxBuilder memory(long bytes) {
        sizes = sizes.withMemory(bytes);
        return this;
    }

    /**
     * Sets how many calls can run at once.
     *
     * @param count the number of vCPUs, from 1 to what the hypervisor allows; 1 if not set
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public FunctionSandboxBuilder vcpus(int count) {
        if (count < 1 || count > hypervisor.maxVCpus()) {
            throw new IllegalArgumentException(
                    count + " vCPUs; a guest on this host can have 1 to " + hypervisor.maxVCpus());
        }
        sizes = sizes.withProcessors(count);
        return this;
    }

    /**
     * Sets how large each vCPU's stack is.
     *
     * @param bytes the number, a multiple of 4096, at most 1 GiB; 64 KiB if not set
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public FunctionSandboxBuilder stack(long bytes) {
        sizes = sizes.withStack(bytes);
        return this;
    }

    /**
     * Sets how large the values of a call may be: strings, byte arrays and records that are its arguments and those that it gives or gives to the host,
     * together.
     *
     * @param bytes the number, a multiple of 4096, at most 1 GiB, of which about a kilobyte is used otherwise; 256 KiB if not set
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public FunctionSandboxBuilder messages(long bytes) {
        sizes = sizes.withMessage(bytes);
        return this;
    }

    /**
     * Sets what each call may use.
     *
     * @param ofEachCall the limits; {@link Limits#DEFAULT} if not set
     * @return this
     */
    public FunctionSandboxBuilder limits(Limits ofEachCall) {
        limits = Objects.requireNonNull(ofEachCall, "limits");
        return this;
    }

    /**
     * Gives the guest a function of the host, which it calls by this name. The function is called on the thread of the call into the sandbox, and with several
     * vCPUs by several at once.
     *
     * @param name its name
     * @param function the function, whose type is the one that the guest declares
     * @return this
     * @throws IllegalArgumentException if there is one of that name
     */
    public FunctionSandboxBuilder hostFunction(String name, MethodHandle function) {
        Objects.requireNonNull(name, "name");
        if (hostFunctions.putIfAbsent(name, Objects.requireNonNull(function, "function")) != null) {
            throw new IllegalArgumentException("there is a host function '" + name + "' already");
        }
        return this;
    }

    /**
     * Gives the guest functions of the host: the methods of an interface, without those that have a body.
     *
     * @param <I> the interface
     * @param type the interface
     * @param functions what has them
     * @return this
     * @throws IllegalArgumentException if it is no interface or not accessible, or there is a function of a method's name
     */
    public <I> FunctionSandboxBuilder hostFunctions(Class<I> type, I functions) {
        InterfaceBinding.ofHost(type, functions).forEach(this::hostFunction);
        return this;
    }

    /**
     * Sets how far the guest is kept apart from this program. In a process of its own, a call takes some tens of microseconds longer, and the limit of
     * processor time counts all that this process does.
     *
     * @param how the isolation; {@link Isolation#VIRTUAL_MACHINE} if not set
     * @return this
     */
    public FunctionSandboxBuilder isolation(Isolation how) {
        isolation = Objects.requireNonNull(how, "how");
        return this;
    }

    /**
     * Places the guest in a virtual machine. None of it runs before it is called.
     *
     * @return the sandbox
     * @throws IllegalArgumentException if the guest is none or does not fit, or wants a function of the host that there is not, or that has another type
     * @throws io.github.jkvm.HypervisorException if the host refuses something
     * @throws SandboxProcessException if the process of {@link Isolation#PROCESS} can't be started
     * @throws UnsupportedOperationException if the host is no x86 one
     */
    public FunctionSandbox build() {
        FunctionGuest guest = switch (isolation) {
            case VIRTUAL_MACHINE -> new KvmGuest(hypervisor, elf, sizes);
            case PROCESS -> new ChildGuest(elf, sizes);
        };
        try {
            var table = new CallTable(guest, sizes.processors(), limits, hostFunctions);
            return new FunctionSandbox(table, new GuestFunctions(table, guest.functions()));
        } catch (RuntimeException | Error failure) {
            guest.close();
            throw failure;
        }
    }
}
