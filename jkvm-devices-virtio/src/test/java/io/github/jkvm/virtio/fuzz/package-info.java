/** What tests of devices use to fuzz them. */
@NullMarked
package io.github.jkvm.virtio.fuzz;

import org.jspecify.annotations.NullMarked;
