/** Functions in C that Java calls in a sandbox. */
@NullMarked
package io.github.jkvm.samples.function;

import org.jspecify.annotations.NullMarked;
