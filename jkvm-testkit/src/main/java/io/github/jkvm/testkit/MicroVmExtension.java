package io.github.jkvm.testkit;

import io.github.jkvm.machine.boot.ElfImage;
import io.github.jkvm.testkit.internal.Durations;
import io.github.jkvm.testkit.internal.GuestFields;
import io.github.jkvm.testkit.internal.TestGuests;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
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
import org.junit.platform.commons.support.AnnotationSupport;

/** Does what {@link MicroVm} says; JUnit makes it. */
public final class MicroVmExtension
        implements ExecutionCondition,
                BeforeAllCallback,
                BeforeEachCallback,
                ParameterResolver,
                TestExecutionExceptionHandler {
    private static final GuestFields<MicroGuest> FIELDS = new GuestFields<>(MicroVm.class, MicroGuest.class);
    private static final TestGuests GUESTS = new TestGuests(Namespace.create(MicroVmExtension.class));

    /** Creates the extension. */
    public MicroVmExtension() {}

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return RequiresKvmCondition.decideForMicroVm();
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        FIELDS.setStatic(context, field -> make(field, context));
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        FIELDS.setOthers(context, field -> make(field, context));
    }

    private static MicroGuest make(Field field, ExtensionContext context) {
        return make(field.getAnnotation(MicroVm.class), field.getDeclaringClass(), context);
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == MicroGuest.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        Class<?> testClass = context.getRequiredTestClass();
        MicroVm wanted = parameter
                .findAnnotation(MicroVm.class)
                .or(() -> ofClass(testClass))
                .orElseThrow(() -> new ExtensionConfigurationException(
                        "put @MicroVm on the parameter " + parameter.getParameter() + " or on the class"));
        return make(wanted, testClass, context);
    }

    /** What a class or those around it say. */
    private static Optional<MicroVm> ofClass(Class<?> testClass) {
        for (Class<?> at = testClass; at != null; at = at.getEnclosingClass()) {
            Optional<MicroVm> found = AnnotationSupport.findAnnotation(at, MicroVm.class);
            if (found.isPresent()) {
                return found;
            }
        }
        return Optional.empty();
    }

    /** Makes a guest that JUnit closes when the context ends. */
    private static MicroGuest make(MicroVm wanted, Class<?> testClass, ExtensionContext context) {
        MicroGuest guest = MicroGuest.builder()
                .memory(wanted.memory())
                .mode(wanted.mode())
                .deadline(Durations.parse(wanted.deadline()))
                .build();
        GUESTS.add(context, guest::report, guest::close);
        if (!wanted.program().isEmpty()) {
            load(guest, wanted.program(), testClass);
        }
        return guest;
    }

    private static void load(MicroGuest guest, String name, Class<?> testClass) {
        byte[] bytes;
        try (InputStream in = testClass.getResourceAsStream(name)) {
            if (in == null) {
                throw new ExtensionConfigurationException(
                        "there is no resource '" + name + "' beside " + testClass.getName());
            }
            bytes = in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("the resource '" + name + "' can't be read", e);
        }
        if (name.endsWith(".c")) {
            guest.loadElf(GuestCompiler.compile(new String(bytes, StandardCharsets.UTF_8)));
        } else if (ElfImage.matches(bytes)) {
            guest.loadElf(bytes);
        } else {
            guest.load(bytes);
        }
    }

    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        GUESTS.describe(context, failure);
        throw failure;
    }
}
