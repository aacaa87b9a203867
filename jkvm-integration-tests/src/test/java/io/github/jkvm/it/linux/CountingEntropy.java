package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.virtio.rng.EntropySource;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Bytes that a guest does not make up: 0, 1, 2 and so on, over all requests. */
final class CountingEntropy implements EntropySource {
    private byte next;

    @Override
    public void fill(MemorySegment target) {
        for (long i = 0; i < target.byteSize(); i++) {
            target.set(ValueLayout.JAVA_BYTE, i, next++);
        }
    }

    /** Asserts that bytes come from here, but for a few places where others have taken some in between. */
    static void assertFromHere(byte[] bytes) {
        int inOrder = 0;
        for (int i = 1; i < bytes.length; i++) {
            inOrder += bytes[i] == (byte) (bytes[i - 1] + 1) ? 1 : 0;
        }
        assertThat(inOrder).isGreaterThan(bytes.length * 9 / 10);
    }
}
