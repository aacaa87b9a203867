/** Measures jkvm beside C programs that make the same calls. */
@NullMarked
package io.github.jkvm.benchmarks;

import org.jspecify.annotations.NullMarked;
