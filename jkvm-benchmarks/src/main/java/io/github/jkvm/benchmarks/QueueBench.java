package io.github.jkvm.benchmarks;

import java.util.Collection;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/** Measures {@link QueueCosts} with JMH and prints a line for each of its cases on stdout; JMH's own report goes to stderr. */
final class QueueBench {
    private QueueBench() {}

    /**
     * Measures.
     *
     * @param arguments none
     */
    public static void main(String[] arguments) throws RunnerException {
        var figures = System.out;
        System.setOut(System.err);
        Collection<RunResult> results = new Runner(new OptionsBuilder()
                        .include(QueueCosts.class.getName())
                        .mode(Mode.Throughput)
                        .timeUnit(TimeUnit.SECONDS)
                        .forks(1)
                        .warmupIterations(5)
                        .warmupTime(TimeValue.seconds(1))
                        .measurementIterations(5)
                        .measurementTime(TimeValue.seconds(1))
                        .jvmArgsAppend("-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED")
                        .addProfiler(GCProfiler.class)
                        .build())
                .run();
        for (RunResult result : results) {
            Result<?> allocated = result.getSecondaryResults().get("gc.alloc.rate.norm");
            figures.printf(
                    Locale.ROOT,
                    "queue.%s.%s %.2f M chains/s %.1f bytes/chain%n",
                    result.getParams().getParam("format").toLowerCase(Locale.ROOT),
                    result.getParams()
                            .getParam("shape")
                            .toLowerCase(Locale.ROOT)
                            .replace('_', '-'),
                    result.getPrimaryResult().getScore() / 1e6,
                    allocated == null ? Double.NaN : allocated.getScore());
        }
    }
}
