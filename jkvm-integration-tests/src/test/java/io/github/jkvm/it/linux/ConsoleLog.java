package io.github.jkvm.it.linux;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The end of what a guest's kernel prints on its console. */
final class ConsoleLog extends OutputStream {
    private static final int SIZE = 1 << 16;

    private final byte[] ring = new byte[SIZE];
    private long written;

    @Override
    public synchronized void write(int value) {
        ring[(int) (written++ % SIZE)] = (byte) value;
    }

    /** Returns the last lines, of those that are kept. */
    synchronized String tail(int lines) {
        int length = (int) Math.min(written, SIZE);
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = ring[(int) ((written - length + i) % SIZE)];
        }
        List<String> all = new String(bytes, StandardCharsets.UTF_8).lines().toList();
        return String.join("\n", all.subList(Math.max(0, all.size() - lines), all.size()));
    }
}
