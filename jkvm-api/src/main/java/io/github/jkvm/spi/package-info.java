/** What a hypervisor backend implements to be found by {@link io.github.jkvm.Hypervisor#open()}. */
@NullMarked
package io.github.jkvm.spi;

import org.jspecify.annotations.NullMarked;
