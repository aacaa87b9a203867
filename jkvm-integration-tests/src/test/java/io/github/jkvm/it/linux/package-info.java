/** A stock Linux as a guest ({@link io.github.jkvm.it.linux.LinuxGuest}), and the tests that need one. */
@NullMarked
package io.github.jkvm.it.linux;

import org.jspecify.annotations.NullMarked;
