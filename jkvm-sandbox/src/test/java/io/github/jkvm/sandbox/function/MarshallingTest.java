package io.github.jkvm.sandbox.function;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.sandbox.Limits;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.Tuple.Tuple2;

/** Any values of any signature get into the guest and out of it as they were. */
class MarshallingTest {
    private static final int BYTES = 256 << 10;
    private static final int ROOM = 0x58;

    private static Arbitrary<Object> value(CType type) {
        return switch (type) {
            case CType.Basic.BOOL -> Arbitraries.of(true, false).asGeneric();
            case CType.Basic.INT -> Arbitraries.integers().asGeneric();
            case CType.Basic.LONG -> Arbitraries.longs().asGeneric();
            case CType.Basic.FLOAT ->
                Arbitraries.floats().withSpecialValue(Float.NaN).asGeneric();
            case CType.Basic.DOUBLE ->
                Arbitraries.doubles().withSpecialValue(Double.NEGATIVE_INFINITY).asGeneric();
            case CType.Basic.STRING -> strings().asGeneric();
            case CType.Basic.BYTES ->
                Arbitraries.bytes().array(byte[].class).ofMaxSize(300).asGeneric();
            default -> shapes().asGeneric();
        };
    }

    private static Arbitrary<String> strings() {
        return Arbitraries.strings()
                .all()
                .excludeChars('\0')
                .ofMaxLength(100)
                .filter(text -> text.codePoints().noneMatch(point -> Character.getType(point) == Character.SURROGATE));
    }

    private static Arbitrary<TestTypes.Shape> shapes() {
        Arbitrary<TestTypes.Point> points = Combinators.combine(Arbitraries.integers(), Arbitraries.doubles())
                .as(TestTypes.Point::new);
        return Combinators.combine(
                        Arbitraries.of(true, false),
                        points,
                        points,
                        strings(),
                        Arbitraries.bytes().array(byte[].class).ofMaxSize(50),
                        Arbitraries.floats(),
                        Arbitraries.longs())
                .as(TestTypes.Shape::new);
    }

    @Provide
    Arbitrary<List<Tuple2<CType, Object>>> arguments() {
        return Arbitraries.of(TestTypes.ALL)
                .flatMap(type -> value(type).map(value -> Tuple.of(type, value)))
                .list()
                .ofMaxSize(14);
    }

    /** Passes its own arguments on to the host's function, and then gives the last of them. */
    private static FunctionGuest.Stop passOn(PageGuest guest, GuestInterface.Export export) {
        if (guest.word(CallPage.MESSAGE) == CallPage.RESULT) {
            long to = (guest.word(ROOM) - PageGuest.ADDRESS + 7) & -8L;
            for (int i = 0; i < export.arguments().offsets().size(); i++) {
                int from = export.arguments().offsets().get(i);
                guest.setWord(to + (long) i * Call.ARGUMENT_BYTES, guest.word(from));
                guest.setWord(to + (long) i * Call.ARGUMENT_BYTES + Long.BYTES, guest.word(from + Long.BYTES));
            }
            guest.setWord(CallPage.VALUE, PageGuest.ADDRESS + to);
            guest.setWord(CallPage.INDEX, 0);
            guest.setWord(CallPage.MESSAGE, CallPage.HOST_CALL);
        } else {
            assertThat(guest.word(CallPage.MESSAGE)).isEqualTo(CallPage.HOST_RESULT);
            guest.setWord(CallPage.MESSAGE, CallPage.RESULT);
        }
        return FunctionGuest.Stop.RANG;
    }

    static final class Seen {
        private Object[] arguments = {};

        Object see(Object[] seen) {
            arguments = seen;
            return seen.length == 0 ? 0L : seen[seen.length - 1];
        }
    }

    @Property(tries = 400)
    void anyValuesOfAnySignatureArriveAndComeBack(@ForAll("arguments") List<Tuple2<CType, Object>> arguments)
            throws Throwable {
        List<CType> types = arguments.stream().map(Tuple2::get1).toList();
        CType resultType = types.isEmpty() ? CType.Basic.LONG : types.getLast();
        var export = new Signature("pass", resultType, types);
        var wish = new Signature("see", resultType, types);
        MethodType type = MethodType.methodType(
                TestTypes.JAVA.get(resultType),
                types.stream().map(TestTypes.JAVA::get).toArray(Class<?>[]::new));
        var seen = new Seen();
        MethodHandle see = MethodHandles.lookup()
                .findVirtual(Seen.class, "see", MethodType.methodType(Object.class, Object[].class))
                .bindTo(seen)
                .asCollector(Object[].class, types.size())
                .asType(type);
        GuestInterface functions = PageGuest.functions(List.of(export), List.of(wish));
        var guest = new PageGuest(BYTES, functions, page -> passOn(page, functions.export("pass")));
        Object[] values = arguments.stream().map(Tuple2::get2).toArray();

        Object result = guest.callers(Limits.DEFAULT, Map.of("see", see))
                .handle("pass", type)
                .invokeWithArguments(values);

        assertThat(bits(seen.arguments)).isEqualTo(bits(values));
        assertThat(bits(result)).isEqualTo(bits(values.length == 0 ? 0L : values[values.length - 1]));
    }

    /** A value in which equals sees each bit. */
    private static Object bits(Object value) {
        return switch (value) {
            case Float number -> Float.floatToRawIntBits(number);
            case Double number -> Double.doubleToRawLongBits(number);
            case byte[] bytes -> ByteBuffer.wrap(bytes);
            case Object[] values -> Stream.of(values).map(MarshallingTest::bits).toList();
            case TestTypes.Point(int x, double y) -> List.of(x, bits(y));
            case TestTypes.Shape(
                    boolean filled,
                    TestTypes.Point from,
                    TestTypes.Point to,
                    String name,
                    byte[] data,
                    float weight,
                    long id) -> List.of(filled, bits(from), bits(to), name, bits(data), bits(weight), id);
            default -> value;
        };
    }
}
