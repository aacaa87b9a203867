package io.github.jkvm.it.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.it.sandbox.Functions.Point;
import io.github.jkvm.it.sandbox.Functions.Shape;
import io.github.jkvm.sandbox.FunctionSandbox;
import io.github.jkvm.sandbox.FunctionSandboxBuilder;
import io.github.jkvm.sandbox.GuestErrorException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxState;
import io.github.jkvm.testkit.RequiresKvm;
import java.io.IOException;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Calls in both directions, in all types, and what they end in. */
@RequiresKvm
class FunctionCallsTest {
    private static final Shape SHAPE = new Shape(
            true, new Point(-3, 1.5), new Point(4, -0.0), "Ünïcode €😀", new byte[] {0, 1, -1}, 2.25f, 1L << 40);

    private final Hypervisor hypervisor = Hypervisor.open();
    private FunctionSandbox sandbox;
    private Functions guest;

    @BeforeEach
    void build() {
        sandbox = builder().build();
        guest = sandbox.bind(Functions.class);
    }

    @AfterEach
    void close() {
        sandbox.close();
        hypervisor.close();
    }

    private FunctionSandboxBuilder builder() {
        return FunctionSandbox.builder(hypervisor, GuestBuild.resource("functions.c"))
                .limits(Limits.DEFAULT.withOutput(1 << 30))
                .hostFunctions(Functions.Host.class, new Host());
    }

    /** Answers so that it can be seen that it was asked. */
    private class Host implements Functions.Host {
        private int asked;

        @Override
        public void host_nothing() {
            asked++;
        }

        @Override
        public boolean host_not(boolean v) {
            return !v;
        }

        @Override
        public int host_int(int v) {
            return v + 1;
        }

        @Override
        public long host_long(long v) {
            return v + 1;
        }

        @Override
        public float host_float(float v) {
            return v + 1;
        }

        @Override
        public double host_double(double v) {
            return v + 1;
        }

        @Override
        public String host_string(String v) {
            return v + "!";
        }

        @Override
        public byte[] host_bytes(byte[] v) {
            return Arrays.copyOf(v, v.length + 1);
        }

        @Override
        public Shape host_shape(Shape v) {
            return new Shape(!v.filled(), v.to(), v.from(), v.name() + "?", v.data(), -v.weight(), -v.id());
        }

        @Override
        public long host_many(int a, long b, boolean c, String d, byte[] e, byte[] f, int g, double h, float i) {
            return asked + many(a, b, c, d, e, f, g, h, i);
        }

        @Override
        public long host_throws(String message) throws Exception {
            if (message.equals("again")) {
                return guest.count();
            }
            throw new IOException(message);
        }
    }

    private static long many(int a, long b, boolean c, String d, byte[] e, byte[] f, int g, double h, float i) {
        int length = d.getBytes(StandardCharsets.UTF_8).length;
        return a + b + (c ? 1 : 0) + length + e.length + f.length + g + (long) h + (long) i;
    }

    private static void assertSame(Shape actual, Shape expected) {
        assertThat(actual).usingRecursiveComparison().isEqualTo(expected);
    }

    @Test
    void givesBackWhatItGets() {
        guest.nothing();
        assertThat(guest.same_bool(true)).isTrue();
        assertThat(guest.same_bool(false)).isFalse();
        assertThat(guest.same_int(Integer.MIN_VALUE)).isEqualTo(Integer.MIN_VALUE);
        assertThat(guest.same_long(Long.MIN_VALUE)).isEqualTo(Long.MIN_VALUE);
        assertThat(guest.same_float(Float.MIN_VALUE)).isEqualTo(Float.MIN_VALUE);
        assertThat(guest.same_double(-0.0)).isEqualTo(-0.0);
        assertThat(guest.same_string("Ünïcode €😀")).isEqualTo("Ünïcode €😀");
        assertThat(guest.same_string("")).isEmpty();
        assertThat(guest.same_bytes(new byte[] {0, -1, 7})).containsExactly(0, -1, 7);
        assertThat(guest.same_bytes(new byte[0])).isEmpty();
        assertSame(guest.same_shape(SHAPE), SHAPE);
    }

    @Test
    void computes() {
        assertThat(guest.add(40, 2)).isEqualTo(42);
        assertThat(guest.many(1, 2, true, "four", new byte[5], new byte[6], 7, 8.5, 9.5f))
                .isEqualTo(1 + 2 + 1 + 4 + 5 + 6 + 7 + 8 + 9);
        assertThat(guest.nine(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)).isEqualTo(385);
        assertThat(guest.reversed(new byte[] {1, 2, 3})).containsExactly(3, 2, 1);
        assertThat(guest.twice(SHAPE).from()).isEqualTo(new Point(-6, 3));
        assertThat(guest.allocate(1000, 1000)).isZero();
        assertThat(guest.no_bytes()).isEmpty();
    }

    @Test
    void asksTheHost() {
        guest.ask_nothing();
        guest.ask_nothing();
        assertThat(guest.ask_not(true)).isFalse();
        assertThat(guest.ask_int(-1)).isZero();
        assertThat(guest.ask_long(Long.MAX_VALUE)).isEqualTo(Long.MIN_VALUE);
        assertThat(guest.ask_float(0.5f)).isEqualTo(1.5f);
        assertThat(guest.ask_double(0.25)).isEqualTo(1.25);
        assertThat(guest.ask_string("who")).isEqualTo("who!");
        assertThat(guest.ask_bytes(new byte[] {3})).containsExactly(3, 0);
        assertSame(
                guest.ask_shape(SHAPE),
                new Shape(false, SHAPE.to(), SHAPE.from(), SHAPE.name() + "?", SHAPE.data(), -2.25f, -(1L << 40)));
        assertThat(guest.ask_many(1, 2, true, "four", new byte[5], new byte[6], 7, 8.5, 9.5f))
                .isEqualTo(2 + 1 + 2 + 1 + 4 + 5 + 6 + 7 + 8 + 9);
        assertThat(guest.ask_often("x".repeat(100_000), 200)).hasSize(100_000);
    }

    @Test
    void callsByNameAndByHandle() throws Throwable {
        assertThat(sandbox.call("add", long.class, 40, 2L)).isEqualTo(42);
        assertThat(sandbox.call("add", Long.class, 40L, 2L)).isEqualTo(42);
        assertThat(sandbox.call("same_string", String.class, "text")).isEqualTo("text");
        assertThat(sandbox.call("nothing", void.class)).isNull();
        assertSame(sandbox.call("same_shape", Shape.class, SHAPE), SHAPE);
        MethodHandle add = sandbox.function("add", MethodType.methodType(long.class, long.class, long.class));
        assertThat((long) add.invokeExact(1L, 2L)).isEqualTo(3);
        assertThat(guest.toString()).isEqualTo("functions of a guest as " + Functions.class.getTypeName());
        assertThat(Set.of(guest, sandbox.bind(Functions.class))).hasSize(2).contains(guest);
    }

    @Test
    void anErrorOfTheGuestArrivesWithItsMessage() {
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.fail("it's all wrong: ä"))
                .withMessage("it's all wrong: ä")
                .withNoCause();
        assertThatExceptionOfType(GuestErrorException.class).isThrownBy(() -> guest.fail_late("late"));
        assertThat(sandbox.state()).isEqualTo(SandboxState.READY);
        assertThat(guest.count()).as("static data after an error").isEqualTo(1001);
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.null_string())
                .withMessage("a string is NULL");
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.null_shape())
                .withMessage("a record is NULL");
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.allocate(1 << 20, 100))
                .withMessage("the guest's memory is used up");
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.zeros(300_000))
                .withMessage("the values are too large for one message");
        String tooLong = "x".repeat(261_000);
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.fail(tooLong))
                .withMessage(tooLong);
    }

    @Test
    void anExceptionOfTheHostComesBackThroughTheGuest() {
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.ask_throws("no disk"))
                .withMessage("no disk")
                .withCauseInstanceOf(IOException.class);
        assertThat(guest.caught("no disk")).isEqualTo("no disk");
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.caught_and_passed_on("no net"))
                .withMessage("no net")
                .withCauseInstanceOf(IOException.class);
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.caught_and_another("no net"))
                .withMessage("another")
                .withNoCause();
        String long170 = "m".repeat(170);
        assertThat(guest.caught("m".repeat(100_000))).isEqualTo(long170);
        assertThat(sandbox.state()).isEqualTo(SandboxState.READY);
    }

    @Test
    void aFunctionOfTheHostCannotCallTheGuestThatWaitsForIt() {
        assertThatExceptionOfType(GuestErrorException.class)
                .isThrownBy(() -> guest.ask_throws("again"))
                .withMessageContaining("the guest waits for it")
                .withCauseInstanceOf(IllegalStateException.class);
        assertThat(guest.count()).isEqualTo(1);
    }

    @Test
    void refusesWhatCannotBeGivenBeforeTheGuestRuns() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> guest.same_string("a\0b"))
                .withMessageContaining("NUL at index 1");
        assertThatIllegalArgumentException().isThrownBy(() -> guest.same_string("\ud800"));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> guest.same_bytes(new byte[300_000]))
                .withMessageContaining("larger messages");
        assertThatNullPointerException().isThrownBy(() -> guest.same_string(null));
        assertThatNullPointerException()
                .isThrownBy(() -> guest.same_shape(new Shape(true, null, null, "", new byte[0], 0, 0)))
                .withMessageContaining("Shape.from");
        assertThat(guest.same_int(1)).isEqualTo(1);
    }

    interface WrongResult {
        int add(long a, long b);
    }

    interface WrongCount {
        long add(long a);
    }

    interface Unknown {
        void subtract();
    }

    record Swapped(double y, int x) {}

    interface WrongRecord {
        Swapped same_shape(Swapped v);
    }

    @Test
    void namesBothSidesOfAMismatch() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sandbox.bind(WrongResult.class))
                .withMessage(
                        "the guest has long add(long, long), and Java has add(long,long)int: the result: Java has int where the"
                                + " guest has long, which is long");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sandbox.bind(WrongCount.class))
                .withMessageContaining("number of parameters");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sandbox.bind(Unknown.class))
                .withMessageStartingWith("the guest has no function 'subtract'; it has add, ");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sandbox.bind(WrongRecord.class))
                .withMessageContaining("const shape * same_shape(const shape *)".replace("* same", "*same"))
                .withMessageContaining("has 2 components where the guest's shape has 7");
        assertThatIllegalArgumentException().isThrownBy(() -> sandbox.call("add", long.class, "1", 2L));
        assertThatIllegalArgumentException().isThrownBy(() -> sandbox.call("add", long.class, 1L));
    }

    @Test
    void theHostMustHaveWhatTheGuestWants() throws Exception {
        FunctionSandboxBuilder none = FunctionSandbox.builder(hypervisor, GuestBuild.resource("functions.c"));
        assertThatIllegalArgumentException().isThrownBy(none::build).withMessageContaining("of the host");
        String source = "#include \"jkvm-sandbox.h\"\nJKVM_IMPORT(long, now, (int));\n";
        MethodHandle now =
                MethodHandles.lookup().findStatic(System.class, "nanoTime", MethodType.methodType(long.class));
        FunctionSandboxBuilder wrong =
                FunctionSandbox.builder(hypervisor, GuestBuild.source(source)).hostFunction("now", now);
        assertThatIllegalArgumentException()
                .isThrownBy(wrong::build)
                .withMessageStartingWith("the guest has long now(int), and Java has now()long");
    }

    @Test
    void aClosedSandboxTakesNoCalls() {
        sandbox.close();
        sandbox.close();
        assertThat(sandbox.state()).isEqualTo(SandboxState.CLOSED);
        assertThatIllegalStateException().isThrownBy(guest::count).withMessage("the sandbox is closed");
        assertThatIllegalStateException().isThrownBy(sandbox::restore);
        assertThatIllegalStateException().isThrownBy(sandbox::checkpoint);
        sandbox.cancel();
    }

    @Test
    void restoresToTheStateBeforeTheFirstCallOrAtTheCheckpoint() {
        assertThat(guest.count()).isEqualTo(1);
        assertThat(guest.count()).isEqualTo(2);
        sandbox.restore();
        assertThat(guest.count()).isEqualTo(1);
        sandbox.checkpoint();
        assertThat(guest.count()).isEqualTo(2);
        sandbox.restore();
        assertThat(guest.count()).isEqualTo(2);
        assertThat(guest.same_string("still there")).isEqualTo("still there");
    }
}
