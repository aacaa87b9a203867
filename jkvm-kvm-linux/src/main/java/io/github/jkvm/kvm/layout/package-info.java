/**
 * The structures, requests and numbers of KVM's interface, spelled as in Linux' headers, and their conversion to and from the records of the API.
 *
 * <p>Sources: Linux, include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h. A test compares every layout, request and number here
 * with what a C compiler makes of the headers.
 */
@NullMarked
package io.github.jkvm.kvm.layout;

import org.jspecify.annotations.NullMarked;
