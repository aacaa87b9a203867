/** Byte pipes between a device's event loop and the program's threads; not exported. */
@NullMarked
package io.github.jkvm.virtio.pipe;

import org.jspecify.annotations.NullMarked;
