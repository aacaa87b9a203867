package io.github.jkvm.sandbox;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.linux.Calls;
import io.github.jkvm.sandbox.linux.CommandDefaults;
import io.github.jkvm.sandbox.linux.FileReceiver;
import io.github.jkvm.sandbox.linux.FileSender;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * A Linux guest that runs commands.
 *
 * <p>{@snippet lang = java :
 * try (var hypervisor = Hypervisor.open();
 *         var sandbox = LinuxSandbox.builder(hypervisor)
 *                 .rootfs(RootFs.folder(Path.of("/srv/debian")))
 *                 .build()) {
 *     CommandResult result = sandbox.command("python3", "-c", "print(6 * 7)").run();
 *     System.out.print(result.outputText());
 * }
 * }
 *
 * <p>The guest is booted once, when the sandbox is built; {@link #restore()} and {@link #copy()} go on from a snapshot of that moment. Its root is read only,
 * with a writable layer in the guest's memory; it has no network unless the builder is given one. Commands run as root, or as a container image's user, each in a session
 * of its own, and what they leave behind, files and processes, is there for the next.
 *
 * <p>Limits are kept by the host for each call, which is a command or a copy. Several calls may run at the same time; their processor time counts for each
 * of them. One that goes over a limit ends the others too, since it poisons the sandbox. A thread that is interrupted in a call poisons it as well. Nothing that
 * runs in the guest is trusted: a guest that stops, or whose agent breaks the rules, ends its calls with a {@link GuestCrashedException}. Safe for use by many
 * threads.
 */
public final class LinuxSandbox implements Sandbox {
    private final Calls calls;
    private final Limits limits;
    private final CommandDefaults defaults;

    LinuxSandbox(Calls calls, Limits limits, CommandDefaults defaults) {
        this.calls = calls;
        this.limits = limits;
        this.defaults = defaults;
    }

    /**
     * Begins to describe a sandbox.
     *
     * @param hypervisor runs it; must stay open as long as the sandbox and its copies
     * @return a builder
     */
    public static LinuxSandboxBuilder builder(Hypervisor hypervisor) {
        return new LinuxSandboxBuilder(hypervisor);
    }

    /**
     * Begins to describe a command.
     *
     * @param arguments the program, which is looked for in {@code PATH} if it has no slash, and its arguments
     * @return the command, which runs when it is told to
     * @throws IllegalArgumentException if there is no program
     */
    public Command command(String... arguments) {
        return command(List.of(arguments));
    }

    /**
     * Begins to describe a command.
     *
     * @param arguments the program, which is looked for in {@code PATH} if it has no slash, and its arguments
     * @return the command, which runs when it is told to
     * @throws IllegalArgumentException if there is no program
     */
    public Command command(List<String> arguments) {
        return new Command(calls, limits, defaults, arguments);
    }

    /**
     * Copies a file or folder into the guest, with permissions, and the times of files. What is there already is written over. Everything belongs to root.
     *
     * @param source of the host; if it is a symbolic link it is followed, while links in a folder stay links
     * @param target the absolute path that it gets; the folders above it are made
     * @throws IOException if the source can't be read, or has what is neither file nor folder nor link
     * @throws IllegalArgumentException if the path is not absolute
     * @throws SandboxException if the guest can't write it, or as {@link Command#run()} says
     * @throws IllegalStateException if the sandbox is poisoned or closed
     */
    public void copyIn(Path source, String target) throws IOException {
        FileSender.copy(calls, limits, source, target);
    }

    /**
     * Copies a file or folder out of the guest, with permissions but set-user-ID and its like, and the times of files. Nothing is written but the target: no
     * name and no link of the guest leads elsewhere. Counts as output, with 512 bytes more for each file.
     *
     * @param source its absolute path in the guest; if it is a symbolic link it is followed
     * @param target what it becomes on the host, where nothing may be
     * @throws java.nio.file.FileAlreadyExistsException if something is there
     * @throws IOException if it can't be written; nothing is left of it
     * @throws IllegalArgumentException if the path is not absolute
     * @throws SandboxException if the guest can't read it, it has a symbolic link that leads out of it or what is neither file nor folder nor link, or as
     *     {@link Command#run()} says; nothing is left of it
     * @throws IllegalStateException if the sandbox is poisoned or closed
     */
    public void copyOut(String source, Path target) throws IOException {
        FileReceiver.copy(calls, limits, source, target);
    }

    /**
     * Writes a file of the guest, which all may read and root may write.
     *
     * @param contents what is in it
     * @param target its absolute path; the folders above it are made, and what is there already is written over
     * @throws IllegalArgumentException if the path is not absolute
     * @throws SandboxException if the guest can't write it, or as {@link Command#run()} says
     * @throws IllegalStateException if the sandbox is poisoned or closed
     */
    public void write(byte[] contents, String target) {
        FileSender.write(calls, limits, contents, target);
    }

    /**
     * Reads a file of the guest.
     *
     * @param source its absolute path
     * @param most how many bytes are taken at most
     * @return what is in it
     * @throws IllegalArgumentException if the path is not absolute
     * @throws SandboxException if the guest can't read it, it is no file or has more bytes, or as {@link Command#run()} says
     * @throws IllegalStateException if the sandbox is poisoned or closed
     */
    public byte[] read(String source, int most) {
        return FileReceiver.read(calls, limits, source, most);
    }

    /**
     * Makes another sandbox that begins as this one did, in about the time of a {@link #restore()}. They share the memory that the guest had when it had
     * booted, and nothing else. With {@link Isolation#PROCESS} it takes the start of a process longer.
     *
     * @return the sandbox, to be closed by the caller
     * @throws IllegalStateException if this is closed
     * @throws io.github.jkvm.HypervisorException if the host refuses something
     */
    public LinuxSandbox copy() {
        return new LinuxSandbox(calls.copy(), limits, defaults);
    }

    @Override
    public SandboxState state() {
        return calls.state();
    }

    @Override
    public void restore() {
        calls.restore();
    }

    @Override
    public void cancel() {
        calls.cancel("by another thread");
    }

    @Override
    public void close() {
        calls.close();
    }
}
