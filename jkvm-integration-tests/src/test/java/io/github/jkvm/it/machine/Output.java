package io.github.jkvm.it.machine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Output that lets wait for its n-th byte. */
final class Output extends OutputStream {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final CountDownLatch reached;

    Output(int awaited) {
        reached = new CountDownLatch(awaited);
    }

    @Override
    public synchronized void write(int b) {
        bytes.write(b);
        reached.countDown();
    }

    synchronized byte[] toBytes() {
        return bytes.toByteArray();
    }

    void await() throws InterruptedException {
        assertThat(reached.await(60, TimeUnit.SECONDS)).isTrue();
    }
}
