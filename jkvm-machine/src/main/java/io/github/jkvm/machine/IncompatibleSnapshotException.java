package io.github.jkvm.machine;

import io.github.jkvm.HypervisorException;
import java.util.List;

/** A snapshot that this host can't go on with: its processors or its hypervisor lack something that the guest has seen. */
public final class IncompatibleSnapshotException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /** What this host lacks, an array as lists may not be serializable. */
    private final String[] missing;

    IncompatibleSnapshotException(List<String> missing) {
        super("the snapshot needs what this host lacks: " + String.join("; ", missing)
                + "; restore it on a host like the one that it was taken on");
        this.missing = missing.toArray(String[]::new);
    }

    /**
     * Returns what this host lacks.
     *
     * @return a line for each thing, at least one
     */
    public List<String> missing() {
        return List.of(missing);
    }
}
