package io.github.jkvm.it;

import io.github.jkvm.ExitHandler;

/** Counts what it is handed and answers zeroes. */
class CountingHandler implements ExitHandler {
    long count;

    @Override
    public long portIn(int port, int size) {
        count++;
        return 0;
    }

    @Override
    public void portOut(int port, int size, long value) {
        count++;
    }

    @Override
    public long mmioRead(long address, int size) {
        count++;
        return 0;
    }

    @Override
    public void mmioWrite(long address, int size, long value) {
        count++;
    }
}
