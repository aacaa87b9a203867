package io.github.jkvm.testkit.linux;

import io.github.jkvm.testkit.internal.Durations;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Guests that were booted once, as snapshots that the tests' machines go on from: of as many kinds as were asked for last, since each takes memory of the
 * host.
 */
final class BootedGuests implements AutoCloseable {
    /** How many kinds are kept. */
    private static final int KINDS = 4;

    /** Guarded by this; the one asked for last is the last. */
    private final Map<LinuxGuest, Kind> kinds = new LinkedHashMap<>();

    /** Gives a machine that takes commands, with the properties asked for. */
    LinuxMachine start(LinuxGuest wanted) throws InterruptedException {
        List<Kind> forgotten = new ArrayList<>();
        Kind kind;
        synchronized (this) {
            kind = kinds.remove(wanted);
            if (kind == null) {
                kind = new Kind();
            }
            kinds.put(wanted, kind);
            Iterator<Kind> eldest = kinds.values().iterator();
            while (kinds.size() > KINDS) {
                forgotten.add(eldest.next());
                eldest.remove();
            }
        }
        // Not under the lock: one that is in use is waited for.
        forgotten.forEach(Kind::close);
        return kind.start(wanted);
    }

    static LinuxMachine boot(LinuxGuest wanted) throws InterruptedException {
        return LinuxMachine.builder()
                .modules(wanted.modules())
                .modulesAtHand(wanted.modulesAtHand())
                .programs(wanted.programs())
                .memory(wanted.memory())
                .vcpus(wanted.vcpus())
                .commandLine(wanted.commandLine())
                .deadline(Durations.parse(wanted.deadline()))
                .channel(wanted.channel())
                .start();
    }

    @Override
    public void close() {
        List<Kind> all;
        synchronized (this) {
            all = List.copyOf(kinds.values());
            kinds.clear();
        }
        all.forEach(Kind::close);
    }

    /** Guests of one kind. */
    private static final class Kind implements AutoCloseable {
        private @Nullable LinuxSnapshot booted;
        private boolean forgotten;

        synchronized LinuxMachine start(LinuxGuest wanted) throws InterruptedException {
            if (forgotten) {
                return boot(wanted);
            }
            LinuxSnapshot from = booted;
            if (from == null) {
                try (LinuxMachine first = boot(wanted)) {
                    from = first.snapshot();
                }
                booted = from;
            }
            return from.start();
        }

        @Override
        public synchronized void close() {
            forgotten = true;
            if (booted != null) {
                booted.close();
                booted = null;
            }
        }
    }
}
