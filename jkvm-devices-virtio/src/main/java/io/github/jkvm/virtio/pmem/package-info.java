/**
 * The virtio persistent memory device (virtio 1.2, 5.19): a file of the host that a guest reads and writes as memory.
 */
@NullMarked
package io.github.jkvm.virtio.pmem;

import org.jspecify.annotations.NullMarked;
