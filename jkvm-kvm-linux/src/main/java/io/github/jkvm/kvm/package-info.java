/** The Linux KVM backend. */
@NullMarked
package io.github.jkvm.kvm;

import org.jspecify.annotations.NullMarked;
