/** What a snapshot is made of, and how it lies in files. */
@NullMarked
package io.github.jkvm.machine.snapshot;

import org.jspecify.annotations.NullMarked;
