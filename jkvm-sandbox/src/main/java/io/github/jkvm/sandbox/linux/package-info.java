/**
 * Linux guests and the agent in them; not exported. The agent is the program in {@code src/main/c}, whose {@code wire.h} tells how it is talked to. Nothing it
 * says is trusted: a guest's programs may be root, and so may be behind it.
 */
@NullMarked
package io.github.jkvm.sandbox.linux;

import org.jspecify.annotations.NullMarked;
