package io.github.jkvm.machine;

import io.github.jkvm.Hypervisor;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.function.Function;

/** Objects of the API that answer only what a test says; anything else is an {@link UnsupportedOperationException}. */
public final class Fakes {
    private Fakes() {}

    public static <T> T of(Class<T> type, Map<String, Function<Object[], Object>> answers) {
        InvocationHandler handler = (proxy, method, arguments) -> {
            Function<Object[], Object> answer = answers.get(method.getName());
            if (answer == null) {
                throw new UnsupportedOperationException(method.getName());
            }
            return answer.apply(arguments);
        };
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    static Hypervisor hypervisor(int maxVCpus, boolean capable) {
        return of(Hypervisor.class, Map.of("maxVCpus", _ -> maxVCpus, "supports", _ -> capable));
    }
}
