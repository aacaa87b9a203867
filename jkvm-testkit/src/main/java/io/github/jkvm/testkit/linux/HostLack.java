package io.github.jkvm.testkit.linux;

import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.RequiresKvmCondition;
import java.util.List;
import java.util.Objects;
import org.opentest4j.TestAbortedException;

/** What this host lacks for a guest: a test that meets it is skipped, or fails where skips are forbidden. */
final class HostLack {
    private HostLack() {}

    /**
     * Returns what is to be thrown.
     *
     * @param what what is missing, and how to get it
     */
    static RuntimeException of(String what) {
        if (skipsFail()) {
            throw new AssertionError(text(what));
        }
        return new TestAbortedException(what);
    }

    private static boolean skipsFail() {
        return "fail".equals(System.getProperty(RequiresKvm.SKIPS_PROPERTY));
    }

    private static String text(String what) {
        return "this host can't run the test, and -D" + RequiresKvm.SKIPS_PROPERTY + "=fail forbids skipping: " + what;
    }

    /** Throws if the hypervisor can't run a stock Linux. */
    static void requireHypervisor() {
        List<String> missing = RequiresKvmCondition.missing(
                Objects.requireNonNull(RequiresLinuxGuest.class.getAnnotation(RequiresKvm.class)));
        if (!missing.isEmpty()) {
            throw of(String.join("; ", missing));
        }
    }
}
