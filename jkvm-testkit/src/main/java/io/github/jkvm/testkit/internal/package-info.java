/** What the packages of the testkit share; not exported. */
@NullMarked
package io.github.jkvm.testkit.internal;

import org.jspecify.annotations.NullMarked;
