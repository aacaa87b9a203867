/** A micro-guest in a few lines of Java. */
@NullMarked
package io.github.jkvm.samples.hello;

import org.jspecify.annotations.NullMarked;
