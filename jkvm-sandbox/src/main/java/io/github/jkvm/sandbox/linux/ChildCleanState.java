package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.GuestNetwork;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxProcessException;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A saved guest for a process of its own, which is started when there is none, or it has ended. Each copy of a sandbox has another. */
final class ChildCleanState implements CleanState {
    private static final System.Logger LOG = System.getLogger(ChildCleanState.class.getName());

    private final SavedBoot boot;

    /** Guarded by this. */
    private @Nullable GuestProcess process;

    private ChildCleanState(SavedBoot boot, @Nullable GuestProcess process) {
        this.boot = boot;
        this.process = process;
    }

    /**
     * Boots a guest in a process, and keeps it as it is then.
     *
     * @throws SandboxException if it does not boot
     */
    static ChildCleanState boot(BootSettings settings) {
        var boot = new SavedBoot(settings);
        GuestProcess process = null;
        try {
            process = new GuestProcess(boot.plan());
            process.boot(boot.folder());
            return new ChildCleanState(boot, process);
        } catch (RuntimeException | Error failure) {
            if (process != null) {
                process.close();
            }
            boot.delete();
            throw failure;
        }
    }

    @Override
    public synchronized LinuxGuest start() {
        Optional<GuestNetwork.Tap> network = boot.settings().network().map(ChildCleanState::tap);
        GuestProcess running = startIn(network.map(GuestNetwork.Tap::interfaceName));
        return new ChildLinuxGuest(running, boot.plan().vcpus(), network.map(tap -> new NetworkOrder(tap.address())));
    }

    /** Asks for the network of a start. */
    static GuestNetwork.Tap tap(Supplier<? extends GuestNetwork> each) {
        return switch (each.get()) {
            case GuestNetwork.Tap tap -> tap;
            case GuestNetwork.Attached attached -> {
                attached.backend().close();
                throw new IllegalArgumentException("a backend is an object of this process, of which the process of the"
                        + " sandbox can make no use; connect the guest with GuestNetwork.tap(name)");
            }
        };
    }

    /** Starts the guest in the process that there is, or in another one if that is gone. */
    private synchronized GuestProcess startIn(Optional<String> tap) {
        GuestProcess former = process;
        if (former != null) {
            try {
                former.start(tap);
                return former;
            } catch (SandboxProcessException gone) {
                LOG.log(System.Logger.Level.DEBUG, "a sandbox gets another process", gone);
                former.close();
                process = null;
            }
        }
        var fresh = new GuestProcess(boot.plan());
        try {
            fresh.open(boot.folder());
            fresh.start(tap);
        } catch (RuntimeException | Error failure) {
            fresh.close();
            throw failure;
        }
        process = fresh;
        return fresh;
    }

    @Override
    public CleanState share() {
        return new ChildCleanState(boot.share(), null);
    }

    @Override
    public synchronized void close() {
        if (process != null) {
            process.close();
            process = null;
        }
        boot.close();
    }
}
