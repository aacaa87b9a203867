/** Root file systems of Linux guests: folders and container images become images of file systems. */
@NullMarked
package io.github.jkvm.sandbox.image;

import org.jspecify.annotations.NullMarked;
