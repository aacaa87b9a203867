/** A program that runs code nobody trusts. */
@NullMarked
package io.github.jkvm.samples.untrusted;

import org.jspecify.annotations.NullMarked;
