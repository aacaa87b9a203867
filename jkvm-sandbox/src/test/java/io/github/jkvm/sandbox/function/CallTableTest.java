package io.github.jkvm.sandbox.function;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxState;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class CallTableTest {
    @Test
    @Timeout(120)
    void tellsItsStateAndTakesACancellationWhileItIsRestored() throws Exception {
        var guest = new PageGuest(
                1 << 16, PageGuest.functions(List.of(), List.of()), page -> FunctionGuest.Stop.INTERRUPTED);
        var begun = new CompletableFuture<Void>();
        var end = new CompletableFuture<Void>();
        guest.duringRestore(() -> {
            begun.complete(null);
            end.join();
        });
        try (var table = new CallTable(guest, 1, Limits.DEFAULT, Map.of())) {
            CompletableFuture<Void> restored = CompletableFuture.runAsync(table::restore);
            begun.get(1, TimeUnit.MINUTES);
            assertThat(table.state()).isEqualTo(SandboxState.POISONED);
            table.cancel();
            end.complete(null);
            restored.get(1, TimeUnit.MINUTES);
            assertThat(table.state()).isEqualTo(SandboxState.READY);
        }
    }
}
