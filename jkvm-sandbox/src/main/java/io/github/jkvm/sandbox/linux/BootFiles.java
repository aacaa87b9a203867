package io.github.jkvm.sandbox.linux;

import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.machine.linux.Initramfs;
import io.github.jkvm.machine.linux.KernelModules;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** What a guest boots with beside its kernel: the agent, as its first program, and the modules that the agent loads. */
final class BootFiles {
    /**
     * Makes the boot short, and the kernel quiet. panic=-1: a kernel that panics resets the machine at once, which ends it. There are no secrets in a guest that
     * one of its programs could want of another, so nothing is done against leaks between them.
     */
    private static final String COMMAND_LINE = "console=ttyS0,115200 quiet panic=-1 mitigations=off cryptomgr.notests"
            + " rcupdate.rcu_expedited=1 nokaslr random.trust_cpu=on";

    /** Device number of /dev/console: Linux, Documentation/admin-guide/devices.txt. */
    private static final int CONSOLE_MAJOR = 5;

    private static final int CONSOLE_MINOR = 1;

    private BootFiles() {}

    static CommandLine commandLine(BootSettings settings) {
        return CommandLine.parse(COMMAND_LINE)
                .addInitArgument(settings.root().type())
                .addInitArgument(String.valueOf(settings.overlay()));
    }

    /**
     * Makes the first file system.
     *
     * @throws IOException if a module can't be read
     * @throws IllegalArgumentException if the kernel lacks one
     */
    static byte[] initramfs(BootSettings settings) throws IOException {
        List<String> wanted = new ArrayList<>(
                List.of("virtio_mmio", "virtio_blk", settings.root().type()));
        if (settings.overlay() > 0) {
            wanted.add("overlay");
        }
        // Last: then all else is there.
        wanted.add("vmw_vsock_virtio_transport");
        KernelModules modules = settings.kernel().modules();
        var files = new Initramfs()
                .characterDevice("/dev/console", CONSOLE_MAJOR, CONSOLE_MINOR)
                .program("/init", Agent.program());
        List<String> first = modules.inLoadingOrder(wanted);
        add(files, "/modules", modules, first);
        if (settings.network().isPresent()) {
            List<String> driver = new ArrayList<>(modules.inLoadingOrder(List.of("virtio_net")));
            driver.removeAll(first);
            add(files, "/network", modules, driver);
        }
        return files.archive();
    }

    private static void add(Initramfs files, String folder, KernelModules modules, List<String> inOrder)
            throws IOException {
        files.folder(folder);
        for (int number = 0; number < inOrder.size(); number++) {
            files.data(folder + "/" + number, modules.contents(inOrder.get(number)));
        }
    }
}
