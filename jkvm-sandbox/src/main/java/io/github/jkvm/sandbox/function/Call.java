package io.github.jkvm.sandbox.function;

import io.github.jkvm.sandbox.GuestErrorException;
import java.lang.invoke.MethodHandle;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A processor of the guest, and the call that it serves. Used by the thread that {@link CallTable} gave it to; what others look at is under its lock. */
final class Call {
    /** Bytes of an argument of a function of the host: two words, of which most types use one. */
    static final int ARGUMENT_BYTES = 2 * Long.BYTES;

    private final int processor;
    private final FunctionGuest guest;
    private final CallPage page;
    private final long heap;
    private final List<HostFunctions.Bound> hostFunctions;

    /** The guest is in the midst of something. */
    private boolean inGuest;

    private long arguments;
    private long errors;
    private @Nullable Exception lastError;

    // Under the table's lock, but that the thread that has the call may look at what ended it without.
    private @Nullable Thread owner;
    private long started;
    private long startedCpu;
    private volatile @Nullable RuntimeException stop;

    Call(int processor, FunctionGuest guest, List<HostFunctions.Bound> hostFunctions) {
        this.processor = processor;
        this.guest = guest;
        this.page = new CallPage(guest.pageAddress(processor), guest.page(processor));
        this.heap = guest.heap(processor);
        this.hostFunctions = hostFunctions;
    }

    CallPage page() {
        return page;
    }

    /** The page may be somewhere else. */
    void moved() {
        page.moved(guest.page(processor));
    }

    /** Where an argument of the function of the host that is being called begins. */
    long argument(int index) {
        return arguments + (long) index * ARGUMENT_BYTES;
    }

    /** Calls a function whose arguments are in the page, until its result is there. */
    void enter(GuestInterface.Export export) {
        page.endArguments();
        page.setWord(CallPage.NEXT, export.next());
        page.setWord(CallPage.FUNCTION, export.address());
        page.setWord(CallPage.MESSAGE, CallPage.RESULT);
        page.setWord(CallPage.RESULT_TYPE, export.resultType());
        page.setWord(CallPage.EXTRAS, export.arguments().extras());
        page.setWord(CallPage.HEAP, heap);
        page.setWord(CallPage.CATCHING, 0);
        page.setWord(CallPage.ERROR, 0);
        inGuest = true;
        while (true) {
            FunctionGuest.Stop why = guest.run(processor);
            RuntimeException ended = stop;
            if (ended != null) {
                throw new CallEnded(ended);
            }
            if (why == FunctionGuest.Stop.RANG && isOver()) {
                inGuest = false;
                return;
            }
        }
    }

    private boolean isOver() {
        long message = page.word(CallPage.MESSAGE);
        if (message == CallPage.RESULT) {
            return true;
        }
        if (message == CallPage.HOST_CALL) {
            answer();
            return false;
        }
        if (message == CallPage.FAILED) {
            long error = page.word(CallPage.INDEX);
            String text = page.text(page.word(CallPage.VALUE));
            inGuest = false;
            throw new GuestErrorException(text, error != 0 && error == errors ? lastError : null);
        }
        throw new FunctionGuest.CrashException("sent the message " + Long.toUnsignedString(message)
                + ", which there is none of; it should use jkvm-sandbox.c of this version");
    }

    private void answer() {
        long index = page.word(CallPage.INDEX);
        if (index < 0 || index >= hostFunctions.size()) {
            throw new FunctionGuest.CrashException(
                    "called function " + Long.toUnsignedString(index) + " of the host, of " + hostFunctions.size());
        }
        HostFunctions.Bound function = hostFunctions.get((int) index);
        arguments = page.offset(page.word(CallPage.VALUE), (long) function.count() * ARGUMENT_BYTES);
        page.beginAnswer();
        try {
            invoke(function.handle());
            page.setWord(CallPage.MESSAGE, CallPage.HOST_RESULT);
        } catch (CallEnded | FunctionGuest.CrashException over) {
            throw over;
        } catch (Exception failure) {
            lastError = failure;
            errors++;
            String message = failure.getMessage();
            page.setWord(
                    CallPage.VALUE,
                    page.putError(message == null ? failure.getClass().getSimpleName() : message));
            page.setWord(CallPage.INDEX, errors);
            page.setWord(CallPage.MESSAGE, CallPage.HOST_ERROR);
        }
        RuntimeException ended = stop;
        if (ended != null) {
            // While the host was at it; the guest gets no further.
            throw new CallEnded(ended);
        }
    }

    private void invoke(MethodHandle handle) throws Exception {
        try {
            handle.invokeExact(this);
        } catch (Exception | Error failure) {
            throw failure;
        } catch (Throwable neither) {
            throw new IllegalStateException(neither);
        }
    }

    /** Makes the call a thread's. Under the table's lock, as all from here on. */
    void begin(Thread thread, long output) {
        owner = thread;
        page.begin(output);
    }

    /** Notes when the call began, and how long its thread had worked before. */
    void startClock(long now, long cpu) {
        started = now;
        startedCpu = cpu;
    }

    long started() {
        return started;
    }

    long startedCpu() {
        return startedCpu;
    }

    @Nullable
    Thread owner() {
        return owner;
    }

    /** Makes the call end with an exception, if nothing has before. */
    void stop(RuntimeException outcome) {
        if (stop == null) {
            stop = outcome;
            guest.interrupt(processor);
        }
    }

    /** What ended the call, if something did. */
    @Nullable
    RuntimeException stopped() {
        return stop;
    }

    /** Ends the call. Returns whether the guest was in the midst of something. */
    boolean end() {
        boolean midst = inGuest;
        inGuest = false;
        owner = null;
        stop = null;
        lastError = null;
        return midst;
    }
}
