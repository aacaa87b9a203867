package io.github.jkvm.samples.spark;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.FunctionSandbox;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxPool;
import java.time.Duration;
import java.util.Map;

/** The sandboxes of one executor: as many as it runs tasks at a time, made with the first task and closed with the executor. */
final class Sandboxes {
    private static final Limits PER_ROW =
            Limits.DEFAULT.withDeadline(Duration.ofSeconds(2)).withOutput(1 << 16);

    private static SandboxPool<FunctionSandbox> pool;

    private Sandboxes() {}

    /** What the guest may ask its host: how much a word weighs. */
    public interface Host {
        int weight(String word);
    }

    /** What the host asks of the guest. */
    public interface Guest {
        int rating(String review);
    }

    static synchronized SandboxPool<FunctionSandbox> of(byte[] program, Map<String, Integer> weights, int tasks) {
        if (pool == null) {
            Hypervisor hypervisor = Hypervisor.open();
            pool = new SandboxPool<>("sandboxes", tasks, () -> FunctionSandbox.builder(hypervisor, program)
                    .hostFunctions(Host.class, word -> weights.getOrDefault(word, 0))
                    .limits(PER_ROW)
                    .build());
            Runtime.getRuntime().addShutdownHook(Thread.ofPlatform().unstarted(() -> {
                pool.close();
                hypervisor.close();
            }));
        }
        return pool;
    }
}
