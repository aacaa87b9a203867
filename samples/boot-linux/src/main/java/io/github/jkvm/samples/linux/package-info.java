/** Boots a Linux kernel and connects its console to the terminal. */
@NullMarked
package io.github.jkvm.samples.linux;

import org.jspecify.annotations.NullMarked;
