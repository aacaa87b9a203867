package io.github.jkvm.benchmarks;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.FunctionSandbox;
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.file.Path;

/** A program that makes a sandbox, calls it once, prints the result and ends: what {@link ColdStarts} starts. */
final class ColdStart {
    private ColdStart() {}

    /**
     * Runs the program.
     *
     * @param arguments the guest, sandbox-guest.c compiled
     */
    public static void main(String[] arguments) throws IOException {
        try (Hypervisor hypervisor = Hypervisor.open();
                FunctionSandbox sandbox = FunctionSandbox.builder(hypervisor, Path.of(arguments[0]))
                        .hostFunction("host_nothing", MethodHandles.empty(MethodType.methodType(void.class)))
                        .build()) {
            System.out.println(sandbox.call("add", long.class, 40L, 2L));
        }
    }
}
