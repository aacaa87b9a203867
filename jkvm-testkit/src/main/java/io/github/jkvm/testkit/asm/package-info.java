/**
 * A small assembler for guest code: 16-, 32- and 64-bit x86 instructions written in Java, with labels, data and the prelude that takes a
 * guest from real mode to long mode.
 *
 * <p>{@link io.github.jkvm.testkit.asm.Assembler} is the place to start.
 */
@NullMarked
package io.github.jkvm.testkit.asm;

import org.jspecify.annotations.NullMarked;
