/**
 * A stock Linux as a test's guest: {@link io.github.jkvm.testkit.linux.LinuxGuest} gives a JUnit test one, {@link
 * io.github.jkvm.testkit.linux.LinuxMachine} is its handle and says what is in it.
 */
@NullMarked
package io.github.jkvm.testkit.linux;

import org.jspecify.annotations.NullMarked;
