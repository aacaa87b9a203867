package io.github.jkvm.testkit.internal;

import java.lang.annotation.Annotation;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.HierarchyTraversalMode;
import org.junit.platform.commons.support.ModifierSupport;
import org.junit.platform.commons.support.ReflectionSupport;

/**
 * The fields of test classes that ask for a guest.
 *
 * @param annotation by which they ask
 * @param type what they must be of
 * @param <G> that type
 */
public record GuestFields<G>(Class<? extends Annotation> annotation, Class<G> type) {

    /**
     * Makes a guest.
     *
     * @param <G> its type
     * @param <E> what making one may throw
     */
    @FunctionalInterface
    public interface Maker<G, E extends Exception> {
        /**
         * Makes the guest of a field.
         *
         * @param field what asks for it
         * @return the guest
         * @throws E if that fails
         */
        G make(Field field) throws E;
    }

    /**
     * Finds the fields of a class and those above it.
     *
     * @param testClass the class
     * @return its fields, static ones and others
     */
    public List<Field> of(Class<?> testClass) {
        return ReflectionSupport.findFields(
                testClass, field -> field.isAnnotationPresent(annotation), HierarchyTraversalMode.TOP_DOWN);
    }

    /**
     * Sets the static fields of a test class.
     *
     * @param context the class
     * @param maker makes their guests
     * @param <E> what that may throw
     * @throws E if a guest can't be made
     * @throws ExtensionConfigurationException if a field is of another type, or final
     */
    public <E extends Exception> void setStatic(ExtensionContext context, Maker<G, E> maker) throws E {
        for (Field field : of(context.getRequiredTestClass())) {
            if (ModifierSupport.isStatic(field)) {
                set(field, null, maker);
            }
        }
    }

    /**
     * Sets the other fields of a test's instances.
     *
     * @param context the test
     * @param maker makes their guests
     * @param <E> what that may throw
     * @throws E if a guest can't be made
     * @throws ExtensionConfigurationException if a field is of another type, or final
     */
    public <E extends Exception> void setOthers(ExtensionContext context, Maker<G, E> maker) throws E {
        for (Object instance : context.getRequiredTestInstances().getAllInstances()) {
            for (Field field : of(instance.getClass())) {
                if (!ModifierSupport.isStatic(field)) {
                    set(field, instance, maker);
                }
            }
        }
    }

    private <E extends Exception> void set(Field field, @Nullable Object instance, Maker<G, E> maker) throws E {
        if (field.getType() != type || Modifier.isFinal(field.getModifiers())) {
            throw new ExtensionConfigurationException("@" + annotation.getSimpleName() + " is on the field "
                    + field.getDeclaringClass().getName() + "." + field.getName() + "; it goes on fields of type "
                    + type.getSimpleName() + " that are not final");
        }
        G guest = maker.make(field);
        try {
            field.setAccessible(true);
            field.set(instance, guest);
        } catch (IllegalAccessException e) {
            throw new ExtensionConfigurationException("the field " + field + " can't be set", e);
        }
    }
}
