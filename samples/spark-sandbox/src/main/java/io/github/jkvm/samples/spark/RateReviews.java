package io.github.jkvm.samples.spark;

import io.github.jkvm.sandbox.FunctionSandbox;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxPool;
import io.github.jkvm.sandbox.SandboxState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;

/** Rates reviews, a line of a file each, by code that nobody trusts: in tasks of Apache Spark, on each executor in sandboxes of its own. */
public final class RateReviews {
    private static final int TASKS_PER_EXECUTOR = 1;
    private static final Map<String, Integer> WEIGHTS =
            Map.of("good", 2, "great", 3, "fine", 1, "bad", -2, "awful", -3, "dull", -1);

    private RateReviews() {}

    /**
     * Rates and prints.
     *
     * @param arguments the guest's program, and the file of reviews
     * @throws IOException if one of them can't be read
     */
    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 2) {
            System.err.println("usage: RateReviews GUEST.elf REVIEWS.txt");
            System.exit(2);
        }
        byte[] program = Files.readAllBytes(Path.of(arguments[0]));
        List<String> reviews = Files.readAllLines(Path.of(arguments[1]));
        try (var spark = new JavaSparkContext(new SparkConf())) {
            Broadcast<byte[]> guest = spark.broadcast(program);
            List<Rated> rated = spark.parallelize(reviews, 4)
                    .mapPartitions(rows -> rate(rows, guest.value()))
                    .collect();
            rated.forEach(System.out::println);
            System.out.println(rated.size() + " reviews, "
                    + rated.stream().filter(row -> !row.problem().isEmpty()).count() + " without a rating, rated in "
                    + rated.stream().mapToLong(Rated::executor).distinct().count() + " executors");
        }
    }

    /** A task: has a sandbox to itself, and one row that breaks it does no harm to the next. */
    private static Iterator<Rated> rate(Iterator<String> rows, byte[] program) throws InterruptedException {
        SandboxPool<FunctionSandbox> pool = Sandboxes.of(program, WEIGHTS, TASKS_PER_EXECUTOR);
        List<Rated> rated = new ArrayList<>();
        try (var loan = pool.take()) {
            FunctionSandbox sandbox = loan.sandbox();
            Sandboxes.Guest guest = sandbox.bind(Sandboxes.Guest.class);
            while (rows.hasNext()) {
                String review = rows.next();
                try {
                    rated.add(Rated.of(review, guest.rating(review)));
                } catch (SandboxException e) {
                    rated.add(Rated.failed(review, e.getMessage()));
                    if (sandbox.state() == SandboxState.POISONED) {
                        sandbox.restore();
                    }
                }
            }
        }
        return rated.iterator();
    }
}
