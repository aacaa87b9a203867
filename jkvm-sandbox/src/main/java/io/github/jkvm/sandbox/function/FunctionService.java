package io.github.jkvm.sandbox.function;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.process.ChildService;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import org.jspecify.annotations.Nullable;

/**
 * Runs a guest for a {@link ChildGuest} of another process. The first connection makes the guest and commands it; each other one runs one of its processors.
 */
public final class FunctionService implements ChildService {
    private @Nullable KvmGuest guest;

    /** Creates the service, which has no guest yet. */
    public FunctionService() {}

    @Override
    public void serve(SocketChannel connection) throws IOException {
        var pages = new PageStream(connection);
        try {
            if (pages.in().readByte() == ChildGuest.COMMANDS) {
                create(pages.in(), pages.out());
                command(pages.in(), pages.out());
            } else {
                run(pages, pages.in().readInt());
            }
        } catch (EOFException e) {
            // The other process is done with it.
            System.Logger log = System.getLogger(FunctionService.class.getName());
            log.log(System.Logger.Level.TRACE, "a connection ended", e);
        }
    }

    private void create(DataInputStream in, DataOutputStream out) throws IOException {
        var sizes = new GuestSizes(in.readLong(), in.readInt(), in.readLong(), in.readLong());
        byte[] elf = in.readNBytes(in.readInt());
        answer(out, () -> guest = new KvmGuest(Hypervisor.open(), elf, sizes));
    }

    private void command(DataInputStream in, DataOutputStream out) throws IOException {
        KvmGuest made = guest;
        while (made != null) {
            switch (in.readByte()) {
                case ChildGuest.INTERRUPT -> made.interrupt(in.readInt());
                case ChildGuest.RESTORE -> answer(out, made::restore);
                default -> answer(out, made::checkpoint);
            }
        }
    }

    private void run(PageStream pages, int processor) throws IOException {
        KvmGuest made = guest;
        while (made != null) {
            // First waits: the page may go somewhere else before its processor runs again.
            int length = pages.await();
            pages.receive(made.page(processor), length);
            FunctionGuest.Stop stop;
            try {
                stop = made.run(processor);
            } catch (FunctionGuest.CrashException e) {
                pages.out().writeByte(ChildGuest.CRASHED);
                write(pages.out(), e);
                continue;
            } catch (RuntimeException e) {
                pages.out().writeByte(ChildGuest.FAILED);
                write(pages.out(), e);
                continue;
            }
            pages.out().writeByte(stop == FunctionGuest.Stop.RANG ? ChildGuest.RANG : ChildGuest.INTERRUPTED);
            pages.send(made.page(processor));
        }
    }

    private static void answer(DataOutputStream out, Runnable action) throws IOException {
        try {
            action.run();
            out.writeByte(ChildGuest.DONE);
            out.flush();
        } catch (RuntimeException e) {
            out.writeByte(ChildGuest.FAILED);
            write(out, e);
        }
    }

    private static void write(DataOutputStream out, RuntimeException failure) throws IOException {
        String text = String.valueOf(failure.getMessage());
        out.writeUTF(text.substring(0, Math.min(text.length(), ChildGuest.MOST_TEXT)));
        out.flush();
    }
}
