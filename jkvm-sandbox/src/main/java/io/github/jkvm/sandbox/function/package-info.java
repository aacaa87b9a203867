/** How functions of a guest are called: the call page, its guest, and the handles that fill and read it; not exported. */
@NullMarked
package io.github.jkvm.sandbox.function;

import org.jspecify.annotations.NullMarked;
