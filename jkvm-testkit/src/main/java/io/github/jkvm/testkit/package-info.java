/** Tests with virtual machines. */
@NullMarked
package io.github.jkvm.testkit;

import org.jspecify.annotations.NullMarked;
