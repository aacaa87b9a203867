/** The console device: terminals and byte streams between the guest and the program. */
@NullMarked
package io.github.jkvm.virtio.console;

import org.jspecify.annotations.NullMarked;
