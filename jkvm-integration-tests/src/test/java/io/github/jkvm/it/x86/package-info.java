/** Tests of x86 state against a real kernel: what is set is read back, and what is refused is refused with a reason. */
@NullMarked
package io.github.jkvm.it.x86;

import org.jspecify.annotations.NullMarked;
