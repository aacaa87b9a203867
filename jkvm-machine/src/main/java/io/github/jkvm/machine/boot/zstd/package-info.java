/**
 * Unpacking Zstandard frames (RFC 8878).
 *
 * <p>Kernels are packed by {@code zstd -22 --ultra}, with windows of 128 MiB. The libraries for Java refuse such windows, need native code, or
 * work by {@code sun.misc.Unsafe}, which the JDK is about to take away; and none names a module. So the format is read here, with bounds
 * that the language checks.
 */
@NullMarked
package io.github.jkvm.machine.boot.zstd;

import org.jspecify.annotations.NullMarked;
