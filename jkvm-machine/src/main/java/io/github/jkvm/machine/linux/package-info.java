/** What a Linux guest is booted with: a kernel that is installed on this host, its modules, and the first file system. */
@NullMarked
package io.github.jkvm.machine.linux;

import org.jspecify.annotations.NullMarked;
