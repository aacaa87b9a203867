/** The testkit's guests, as a test author uses them. */
@NullMarked
package io.github.jkvm.it.testkit;

import org.jspecify.annotations.NullMarked;
