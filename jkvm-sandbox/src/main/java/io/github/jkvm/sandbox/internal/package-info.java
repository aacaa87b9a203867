/** What both kinds of sandboxes are made with; not exported. */
@NullMarked
package io.github.jkvm.sandbox.internal;

import org.jspecify.annotations.NullMarked;
