package io.github.jkvm.testkit.linux;

import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;
import org.junit.platform.commons.support.HierarchyTraversalMode;
import org.junit.platform.commons.support.ModifierSupport;
import org.junit.platform.commons.support.ReflectionSupport;

/** Does what {@link LinuxGuest} says; JUnit makes it. */
public final class LinuxGuestExtension
        implements ExecutionCondition,
                BeforeAllCallback,
                BeforeEachCallback,
                ParameterResolver,
                TestExecutionExceptionHandler {
    private static final Namespace NAMESPACE = Namespace.create(LinuxGuestExtension.class);

    /** Creates the extension. */
    public LinuxGuestExtension() {}

    /** Skips by a condition, since what is thrown where a parameter is made is a failure. */
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        Stream<? extends AnnotatedElement> guests = context.getTestMethod()
                .<Stream<? extends AnnotatedElement>>map(method -> Arrays.stream(method.getParameters()))
                .orElseGet(() -> context.getTestClass().stream().flatMap(type -> fields(type).stream()));
        return RequiresLinuxGuestCondition.decide(guests.filter(guest -> guest.isAnnotationPresent(LinuxGuest.class))
                .flatMap(guest ->
                        Arrays.stream(guest.getAnnotation(LinuxGuest.class).programs()))
                .toList());
    }

    @Override
    public void beforeAll(ExtensionContext context) throws InterruptedException {
        for (Field field : fields(context.getRequiredTestClass())) {
            if (ModifierSupport.isStatic(field)) {
                set(field, null, context);
            }
        }
    }

    @Override
    public void beforeEach(ExtensionContext context) throws InterruptedException {
        for (Object instance : context.getRequiredTestInstances().getAllInstances()) {
            for (Field field : fields(instance.getClass())) {
                if (!ModifierSupport.isStatic(field)) {
                    set(field, instance, context);
                }
            }
        }
    }

    private static List<Field> fields(Class<?> testClass) {
        return ReflectionSupport.findFields(
                testClass, field -> field.isAnnotationPresent(LinuxGuest.class), HierarchyTraversalMode.TOP_DOWN);
    }

    private static void set(Field field, @Nullable Object instance, ExtensionContext context)
            throws InterruptedException {
        if (field.getType() != LinuxMachine.class || Modifier.isFinal(field.getModifiers())) {
            throw new ExtensionConfigurationException(
                    "@LinuxGuest is on the field " + field.getDeclaringClass().getName() + "." + field.getName()
                            + "; it goes on fields of type LinuxMachine that are not final");
        }
        LinuxMachine machine = boot(field.getAnnotation(LinuxGuest.class), context);
        try {
            field.setAccessible(true);
            field.set(instance, machine);
        } catch (IllegalAccessException e) {
            throw new ExtensionConfigurationException("the field " + field + " can't be set", e);
        }
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == LinuxMachine.class && parameter.isAnnotated(LinuxGuest.class);
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        try {
            return boot(parameter.findAnnotation(LinuxGuest.class).orElseThrow(), context);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while the guest of " + parameter.getParameter() + " boots", e);
        }
    }

    /** Boots a machine that JUnit closes when the context ends. */
    private static LinuxMachine boot(LinuxGuest wanted, ExtensionContext context) throws InterruptedException {
        LinuxMachine machine = switch (wanted.boot()) {
            case ONCE ->
                context.getRoot()
                        .getStore(NAMESPACE)
                        .getOrComputeIfAbsent(BootedGuests.class, type -> new BootedGuests(), BootedGuests.class)
                        .start(wanted);
            case EACH -> BootedGuests.boot(wanted);
        };
        context.getStore(NAMESPACE)
                .getOrComputeIfAbsent(context.getUniqueId(), id -> new Machines(), Machines.class)
                .add(machine);
        return machine;
    }

    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        for (Optional<ExtensionContext> at = Optional.of(context);
                at.isPresent();
                at = at.get().getParent()) {
            Machines machines = at.get().getStore(NAMESPACE).get(at.get().getUniqueId(), Machines.class);
            if (machines != null) {
                machines.describe(failure);
            }
        }
        throw failure;
    }

    /** Machines of one context. */
    private static final class Machines implements AutoCloseable {
        private final List<LinuxMachine> all = new CopyOnWriteArrayList<>();

        void add(LinuxMachine machine) {
            all.add(machine);
        }

        void describe(Throwable failure) {
            for (LinuxMachine machine : all) {
                failure.addSuppressed(new KernelState(machine.consoleTail()));
            }
        }

        @Override
        public void close() {
            all.forEach(LinuxMachine::close);
        }
    }

    /** Not a failure of its own: what a kernel had to say when its test failed. */
    private static final class KernelState extends Throwable {
        private static final long serialVersionUID = 1;

        KernelState(String console) {
            super(
                    console.isBlank() ? "the guest's console: nothing" : "the guest's console:\n" + console,
                    null,
                    false,
                    false);
        }
    }
}
