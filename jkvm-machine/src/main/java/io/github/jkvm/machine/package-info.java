/** Boards: memory map, boot protocols and platform devices. */
@NullMarked
package io.github.jkvm.machine;

import org.jspecify.annotations.NullMarked;
