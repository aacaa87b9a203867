/**
 * The tables by which a board tells a guest what it is made of (Advanced Configuration and Power Interface specification, version 6.5).
 *
 * <p>{@link io.github.jkvm.machine.acpi.AcpiTables} makes them; {@link io.github.jkvm.machine.acpi.Aml} writes the byte code that
 * describes devices, so that a device which no board knows can bring its own.
 */
@NullMarked
package io.github.jkvm.machine.acpi;

import org.jspecify.annotations.NullMarked;
