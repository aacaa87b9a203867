package io.github.jkvm.benchmarks;

import io.github.jkvm.Hypervisor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** Prints figures, one a line, on stdout; what it is doing goes to stderr. */
final class Bench {
    private Bench() {}

    /**
     * Measures.
     *
     * @param arguments the C program, the compiled guest of function sandboxes, and what to measure: {@code exits}, {@code lifecycle}, {@code testkit},
     *     {@code snapshots}, {@code sandbox}, {@code sandbox.cold}
     */
    public static void main(String[] arguments) throws Exception {
        List<String> figures = Arrays.asList(arguments).subList(2, arguments.length);
        Path program = Path.of(arguments[0]);
        Path guest = Path.of(arguments[1]);
        try (Hypervisor hypervisor = Hypervisor.open();
                Peer peer = new Peer(program)) {
            for (String figure : figures) {
                switch (figure) {
                    case "exits" -> new ExitCosts(hypervisor).print(peer);
                    case "lifecycle" -> new LifecycleCosts(hypervisor).print(peer);
                    case "testkit" -> new TestkitCosts().print(peer);
                    case "snapshots" -> new SnapshotCosts(hypervisor).print();
                    case "sandbox" -> new SandboxCosts(hypervisor, guest).print(peer);
                    case "sandbox.cold" -> new ColdStarts(guest, program).print();
                    default ->
                        throw new IllegalArgumentException("there is no figure '" + figure
                                + "'; there are: exits, lifecycle, testkit, snapshots, sandbox, sandbox.cold");
                }
            }
        }
    }
}
