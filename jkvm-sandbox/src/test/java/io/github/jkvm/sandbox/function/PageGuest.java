package io.github.jkvm.sandbox.function;

import io.github.jkvm.sandbox.Limits;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** A guest without a machine: its call page is on the heap, and what it does with it is up to a test. */
final class PageGuest implements FunctionGuest {
    static final long ADDRESS = 0x50_0000;
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;

    private final MemorySegment page;
    private final GuestInterface functions;
    private final Function<PageGuest, Stop> program;
    private boolean interrupted;
    private boolean closed;

    /** What else is done when it is restored. */
    private Runnable duringRestore = () -> {};

    PageGuest(int bytes, GuestInterface functions, Function<PageGuest, Stop> program) {
        this.page = MemorySegment.ofArray(new long[bytes / Long.BYTES]);
        this.functions = functions;
        this.program = program;
        CallPage.prepare(page, ADDRESS, ADDRESS);
    }

    /** Functions of a guest by their declarations; each can be called at any place. */
    static GuestInterface functions(List<Signature> exports, List<Signature> imports) {
        Map<String, GuestInterface.Export> byName = new HashMap<>();
        for (Signature signature : exports) {
            byName.put(
                    signature.name(),
                    new GuestInterface.Export(signature, byName.size(), ArgumentPlaces.of(signature), 0, 0));
        }
        List<GuestInterface.Import> wishes = new ArrayList<>();
        for (Signature signature : imports) {
            wishes.add(new GuestInterface.Import(signature, 0));
        }
        return new GuestInterface(byName, wishes);
    }

    GuestFunctions callers(Limits limits, Map<String, MethodHandle> hostFunctions) {
        return new GuestFunctions(new CallTable(this, 1, limits, hostFunctions), functions);
    }

    MemorySegment page() {
        return page;
    }

    long word(long offset) {
        return page.get(WORD, offset);
    }

    void setWord(long offset, long value) {
        page.set(WORD, offset, value);
    }

    boolean isClosed() {
        return closed;
    }

    @Override
    public long workedNanos(Thread caller) {
        return 0;
    }

    @Override
    public GuestInterface functions() {
        return functions;
    }

    @Override
    public MemorySegment page(int processor) {
        return page;
    }

    @Override
    public long pageAddress(int processor) {
        return ADDRESS;
    }

    @Override
    public long heap(int processor) {
        return 0;
    }

    @Override
    public Stop run(int processor) {
        if (interrupted) {
            interrupted = false;
            return Stop.INTERRUPTED;
        }
        return program.apply(this);
    }

    @Override
    public void interrupt(int processor) {
        interrupted = true;
    }

    void duringRestore(Runnable action) {
        duringRestore = action;
    }

    @Override
    public void restore() {
        duringRestore.run();
        page.fill((byte) 0);
        CallPage.prepare(page, ADDRESS, ADDRESS);
    }

    @Override
    public void checkpoint() {
        // It has no other state.
    }

    @Override
    public void close() {
        closed = true;
    }
}
