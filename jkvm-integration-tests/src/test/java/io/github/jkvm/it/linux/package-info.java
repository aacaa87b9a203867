/** Tests of devices that a stock Linux drives, and of what the testkit has for them. */
@NullMarked
package io.github.jkvm.it.linux;

import org.jspecify.annotations.NullMarked;
