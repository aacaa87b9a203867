package io.github.jkvm.testkit;

import io.github.jkvm.machine.boot.ElfImage;
import io.github.jkvm.testkit.internal.Durations;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
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
import org.junit.platform.commons.support.AnnotationSupport;
import org.junit.platform.commons.support.HierarchyTraversalMode;
import org.junit.platform.commons.support.ModifierSupport;
import org.junit.platform.commons.support.ReflectionSupport;

/** Does what {@link MicroVm} says; JUnit makes it. */
public final class MicroVmExtension
        implements ExecutionCondition,
                BeforeAllCallback,
                BeforeEachCallback,
                ParameterResolver,
                TestExecutionExceptionHandler {
    private static final Namespace NAMESPACE = Namespace.create(MicroVmExtension.class);

    /** Creates the extension. */
    public MicroVmExtension() {}

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return RequiresKvmCondition.decideForMicroVm();
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        for (Field field : fields(context.getRequiredTestClass())) {
            if (ModifierSupport.isStatic(field)) {
                set(field, null, context);
            }
        }
    }

    @Override
    public void beforeEach(ExtensionContext context) {
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
                testClass, field -> field.isAnnotationPresent(MicroVm.class), HierarchyTraversalMode.TOP_DOWN);
    }

    private static void set(Field field, @Nullable Object instance, ExtensionContext context) {
        if (field.getType() != MicroGuest.class || Modifier.isFinal(field.getModifiers())) {
            throw new ExtensionConfigurationException(
                    "@MicroVm is on the field " + field.getDeclaringClass().getName() + "." + field.getName()
                            + "; it goes on fields of type MicroGuest that are not final");
        }
        MicroGuest guest = make(field.getAnnotation(MicroVm.class), field.getDeclaringClass(), context);
        try {
            field.setAccessible(true);
            field.set(instance, guest);
        } catch (IllegalAccessException e) {
            throw new ExtensionConfigurationException("the field " + field + " can't be set", e);
        }
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
        guests(context).add(guest);
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

    /** The guests made for a context, which close with it. */
    private static Guests guests(ExtensionContext context) {
        return context.getStore(NAMESPACE)
                .getOrComputeIfAbsent(context.getUniqueId(), id -> new Guests(), Guests.class);
    }

    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        for (Optional<ExtensionContext> at = Optional.of(context);
                at.isPresent();
                at = at.get().getParent()) {
            Guests guests = at.get().getStore(NAMESPACE).get(at.get().getUniqueId(), Guests.class);
            if (guests != null) {
                guests.describe(failure);
            }
        }
        throw failure;
    }

    /** Guests of one context. */
    private static final class Guests implements AutoCloseable {
        private final List<MicroGuest> all = new CopyOnWriteArrayList<>();

        void add(MicroGuest guest) {
            all.add(guest);
        }

        void describe(Throwable failure) {
            for (MicroGuest guest : all) {
                failure.addSuppressed(new GuestState(guest.report()));
            }
        }

        @Override
        public void close() {
            all.forEach(MicroGuest::close);
        }
    }

    /** Not a failure of its own: how a guest was when its test failed. */
    private static final class GuestState extends Throwable {
        private static final long serialVersionUID = 1;

        GuestState(String report) {
            super(report, null, false, false);
        }
    }
}
