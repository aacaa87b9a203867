package io.github.jkvm.kvm;

import io.github.jkvm.HypervisorUnavailableException;

/** The processors whose KVM this library knows. */
enum HostArchitecture {
    X86_64,
    AARCH64;

    /**
     * Returns the architecture this JVM runs on.
     *
     * @throws HypervisorUnavailableException if it is another one
     */
    static HostArchitecture current() {
        return of(System.getProperty("os.arch", "unknown"));
    }

    static HostArchitecture of(String name) {
        return switch (name) {
            case "amd64", "x86_64" -> X86_64;
            case "aarch64", "arm64" -> AARCH64;
            default ->
                throw new HypervisorUnavailableException("the processor architecture " + name
                        + " is not supported; run on x86-64 or aarch64, with a JDK made for it");
        };
    }
}
