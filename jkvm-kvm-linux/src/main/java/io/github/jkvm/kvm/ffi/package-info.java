/** The C library's functions and what keeps their use safe: errno as a value, descriptors that are never used after close. */
@NullMarked
package io.github.jkvm.kvm.ffi;

import org.jspecify.annotations.NullMarked;
