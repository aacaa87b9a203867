package io.github.jkvm.testkit.linux;

import io.github.jkvm.testkit.internal.GuestFields;
import io.github.jkvm.testkit.internal.TestGuests;
import java.lang.reflect.AnnotatedElement;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;

/** Does what {@link LinuxGuest} says; JUnit makes it. */
public final class LinuxGuestExtension
        implements ExecutionCondition,
                BeforeAllCallback,
                BeforeEachCallback,
                ParameterResolver,
                TestExecutionExceptionHandler {
    private static final Namespace NAMESPACE = Namespace.create(LinuxGuestExtension.class);
    private static final GuestFields<LinuxMachine> FIELDS = new GuestFields<>(LinuxGuest.class, LinuxMachine.class);
    private static final TestGuests GUESTS = new TestGuests(NAMESPACE);

    /** Creates the extension. */
    public LinuxGuestExtension() {}

    /** Skips by a condition, since what is thrown where a parameter is made is a failure. */
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        Stream<? extends AnnotatedElement> guests = context.getTestMethod()
                .<Stream<? extends AnnotatedElement>>map(method -> Arrays.stream(method.getParameters()))
                .orElseGet(() -> context.getTestClass().stream().flatMap(type -> FIELDS.of(type).stream()));
        return RequiresLinuxGuestCondition.decide(guests.filter(guest -> guest.isAnnotationPresent(LinuxGuest.class))
                .flatMap(guest ->
                        Arrays.stream(guest.getAnnotation(LinuxGuest.class).programs()))
                .toList());
    }

    @Override
    public void beforeAll(ExtensionContext context) throws InterruptedException {
        FIELDS.setStatic(context, field -> boot(field.getAnnotation(LinuxGuest.class), context));
    }

    @Override
    public void beforeEach(ExtensionContext context) throws InterruptedException {
        FIELDS.setOthers(context, field -> boot(field.getAnnotation(LinuxGuest.class), context));
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
        GUESTS.add(context, () -> report(machine), machine::close);
        return machine;
    }

    private static String report(LinuxMachine machine) {
        String console = machine.consoleTail();
        return console.isBlank() ? "the guest's console: nothing" : "the guest's console:\n" + console;
    }

    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        GUESTS.describe(context, failure);
        throw failure;
    }
}
