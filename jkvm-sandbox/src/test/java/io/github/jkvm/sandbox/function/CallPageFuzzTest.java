package io.github.jkvm.sandbox.function;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.GuestErrorException;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxState;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * Whatever a guest writes into its call page, a call ends in a result or in one of the exceptions that are for it, soon, and takes no more memory than the
 * page is large.
 */
class CallPageFuzzTest {
    private static final long CASES = Long.getLong("jkvm.fuzz.cases", 20_000);
    private static final long SEED = Long.getLong("jkvm.fuzz.seed", 0x66756E63L);
    private static final int BYTES = 8 << 10;
    private static final int OUTPUT = 600;
    private static final int MOST_RUNS = 20;
    private static final long ALLOCATION_LIMIT = 8 << 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private SplittableRandom random = new SplittableRandom(0);
    private int runs;
    private int hostCalls;

    /** The host's function of each type: gives back what it gets, and sometimes fails. */
    Object answer(Object value) {
        hostCalls++;
        if (random.nextInt(8) == 0) {
            throw new IllegalStateException("no\0\ud800" + "x".repeat(random.nextInt(400)));
        }
        return value;
    }

    @Test
    void survivesAnyPage() throws Throwable {
        List<Signature> exports = new ArrayList<>();
        List<Signature> imports = new ArrayList<>();
        Map<String, MethodHandle> hostFunctions = new HashMap<>();
        MethodHandle answer = MethodHandles.lookup()
                .findVirtual(CallPageFuzzTest.class, "answer", MethodType.methodType(Object.class, Object.class))
                .bindTo(this);
        for (CType type : TestTypes.ALL) {
            String name = "f" + exports.size();
            Class<?> javaType = TestTypes.JAVA.get(type);
            exports.add(new Signature(name, type, List.of(type)));
            imports.add(new Signature(name, type, List.of(type)));
            hostFunctions.put(name, answer.asType(MethodType.methodType(javaType, javaType)));
        }
        var guest = new PageGuest(BYTES, PageGuest.functions(exports, imports), this::scribble);
        GuestFunctions functions = guest.callers(Limits.DEFAULT.withOutput(OUTPUT), hostFunctions);
        List<MethodHandle> handles = new ArrayList<>();
        for (Signature export : exports) {
            Class<?> javaType = TestTypes.JAVA.get(export.result());
            handles.add(functions.handle(export.name(), MethodType.methodType(javaType, javaType)));
        }
        Map<String, Integer> outcomes = new HashMap<>();
        for (long i = 0; i < CASES; i++) {
            random = new SplittableRandom(SEED + i);
            runs = 0;
            int function = random.nextInt(handles.size());
            long before = THREADS.getCurrentThreadAllocatedBytes();
            String outcome;
            try {
                handles.get(function)
                        .invokeWithArguments(value(exports.get(function).result()));
                outcome = "result";
            } catch (GuestErrorException | GuestCrashedException | LimitExceededException expected) {
                outcome = expected.getClass().getSimpleName();
            } catch (RuntimeException | Error e) {
                throw new AssertionError("repeat with -Djkvm.fuzz.cases=1 -Djkvm.fuzz.seed=" + (SEED + i), e);
            }
            assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(ALLOCATION_LIMIT);
            boolean ready = outcome.equals("result") || outcome.equals("GuestErrorException");
            assertThat(functions.table().state()).isEqualTo(ready ? SandboxState.READY : SandboxState.POISONED);
            outcomes.merge(outcome, 1, Integer::sum);
            functions.table().restore();
        }
        assertThat(CASES < 5_000 || outcomes.size() == 4).as("%s", outcomes).isTrue();
        assertThat(CASES < 5_000 || hostCalls > CASES / 20)
                .as("%d calls of the host", hostCalls)
                .isTrue();
        functions.table().close();
        assertThat(guest.isClosed()).isTrue();
    }

    private static Object value(CType type) {
        return switch (type) {
            case CType.Basic.BOOL -> true;
            case CType.Basic.INT -> 1;
            case CType.Basic.LONG -> 2L;
            case CType.Basic.FLOAT -> 3f;
            case CType.Basic.DOUBLE -> 4.0;
            case CType.Basic.STRING -> "text";
            case CType.Basic.BYTES -> new byte[] {1, 2, 3};
            default ->
                new TestTypes.Shape(
                        true, new TestTypes.Point(1, 2), new TestTypes.Point(3, 4), "name", new byte[5], 6, 7);
        };
    }

    /** Mostly keeps to the forms, so as to get far, with numbers that are next to the limits. */
    private FunctionGuest.Stop scribble(PageGuest guest) {
        runs++;
        if (random.nextInt(50) == 0) {
            throw new FunctionGuest.CrashException("broke down");
        }
        if (random.nextInt(50) == 0) {
            return FunctionGuest.Stop.INTERRUPTED;
        }
        MemorySegment page = guest.page();
        for (int i = random.nextInt(12); i > 0; i--) {
            page.set(
                    ValueLayout.JAVA_LONG_UNALIGNED,
                    random.nextInt(BYTES - Long.BYTES + 1) & (random.nextBoolean() ? -8 : -1),
                    number());
        }
        if (random.nextInt(4) == 0) {
            page.asSlice(random.nextInt(BYTES), 0).fill((byte) 1);
            page.asSlice(CallPage.ROOM_OFFSET).fill((byte) (random.nextInt(3) == 0 ? 0xFF : 'a'));
        }
        guest.setWord(CallPage.MESSAGE, runs > MOST_RUNS ? CallPage.RESULT : message());
        guest.setWord(CallPage.INDEX, random.nextInt(10) == 0 ? number() : random.nextInt(TestTypes.ALL.size()));
        guest.setWord(CallPage.VALUE, random.nextInt(6) == 0 ? number() : address());
        guest.setWord(CallPage.VALUE + Long.BYTES, random.nextBoolean() ? random.nextInt(64) : number());
        return FunctionGuest.Stop.RANG;
    }

    private long message() {
        return switch (random.nextInt(16)) {
            case 0 -> number();
            case 1, 2 -> CallPage.FAILED;
            case 3, 4, 5 -> CallPage.RESULT;
            case 6 -> CallPage.HOST_ERROR;
            default -> CallPage.HOST_CALL;
        };
    }

    private long number() {
        return switch (random.nextInt(5)) {
            case 0 -> random.nextLong();
            case 1 -> -1L >>> random.nextInt(64);
            case 2 -> 1L << random.nextInt(64);
            case 3 -> random.nextInt(-3, 20);
            default -> address();
        };
    }

    /** An address in the page, or next to its ends. */
    private long address() {
        return PageGuest.ADDRESS
                + switch (random.nextInt(4)) {
                    case 0 -> BYTES - random.nextInt(-3, 120);
                    case 1 -> CallPage.ROOM_OFFSET + random.nextInt(-3, 120);
                    default -> random.nextInt(CallPage.ROOM_OFFSET, BYTES);
                };
    }
}
