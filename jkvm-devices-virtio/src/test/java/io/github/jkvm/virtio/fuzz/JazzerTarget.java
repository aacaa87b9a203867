package io.github.jkvm.virtio.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;

/**
 * Lets Jazzer choose what a hostile guest does, guided by the code it reaches. Not a test of the build: {@code scripts/fuzz --jazzer} runs it. The system
 * property {@code jkvm.fuzz.test} names the subclass of {@link DeviceFuzzTest}.
 */
public final class JazzerTarget {
    /** Enough for what one case does to matter to the next. */
    private static final int CASES = 4;

    private static DeviceFuzz fuzz;

    private JazzerTarget() {}

    /** Called by Jazzer once. */
    public static void fuzzerInitialize() throws ReflectiveOperationException {
        var constructor = Class.forName(System.getProperty("jkvm.fuzz.test")).getDeclaredConstructor();
        constructor.setAccessible(true);
        fuzz = ((DeviceFuzzTest) constructor.newInstance()).fuzz();
    }

    /** Called by Jazzer for each input. */
    public static void fuzzerTestOneInput(FuzzedDataProvider data) {
        fuzz.run(
                new Choices() {
                    @Override
                    public long between(long least, long most) {
                        return data.consumeLong(least, most);
                    }

                    @Override
                    public byte[] bytes(int most) {
                        return data.consumeBytes(most);
                    }
                },
                CASES);
    }
}
