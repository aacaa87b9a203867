package io.github.jkvm.testkit.linux;

import io.github.jkvm.machine.linux.InstalledKernel;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/** The kernel that guests boot unless they are given another. */
public final class GuestKernel {
    private static @Nullable InstalledKernel installed;

    private GuestKernel() {}

    /**
     * Returns the newest kernel that is installed on this host: {@link InstalledKernel#newest()}. It is read once in a JVM.
     *
     * @return the kernel
     * @throws org.opentest4j.TestAbortedException if there is none, or it may not be read, which skips the test; an {@link AssertionError} instead where
     *     skips are forbidden
     */
    public static synchronized InstalledKernel installed() {
        if (installed == null) {
            try {
                installed = InstalledKernel.newest();
            } catch (IOException e) {
                throw HostLack.of("no kernel for guests: " + e.getMessage());
            }
        }
        return installed;
    }
}
