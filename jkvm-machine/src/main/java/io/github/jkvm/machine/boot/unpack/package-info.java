/**
 * Unpacking Zstandard frames (RFC 8878) and LZ4 legacy frames.
 *
 * <p>Kernels are packed by {@code zstd -22 --ultra}, with windows of 128 MiB. The libraries for Java refuse such windows, need native code, or
 * work by {@code sun.misc.Unsafe}, which the JDK is about to take away; and none names a module. Layers of container images come as
 * Zstandard too. Of those for LZ4, commons-compress does
 * neither, but brings three more libraries and the module {@code java.desktop}, and took two to four times as long for a kernel of
 * Debian's. So both are read here, with bounds that the language checks.
 */
@NullMarked
package io.github.jkvm.machine.boot.unpack;

import org.jspecify.annotations.NullMarked;
