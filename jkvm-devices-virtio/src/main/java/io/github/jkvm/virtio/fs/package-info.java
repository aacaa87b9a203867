/**
 * The file system device (virtio 1.2, 5.11): one folder of the host, which the guest mounts by its tag.
 *
 * <p>The guest is not trusted. Whatever it sends, it reaches files of that folder only: see {@link io.github.jkvm.virtio.fs.FsOptions}.
 */
@NullMarked
package io.github.jkvm.virtio.fs;

import org.jspecify.annotations.NullMarked;
