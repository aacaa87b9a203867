package io.github.jkvm.machine.boot.unpack;

import java.nio.charset.StandardCharsets;
import java.util.Random;

/** Contents that are the same in every run: the frames among the resources were packed from them by zstd 1.5.4. */
final class Samples {
    private Samples() {}

    /** Words from a small vocabulary, numbers and noise: packs to blocks of every kind of table. */
    static byte[] mixed(int size) {
        Random random = new Random(7);
        String[] words = {"virtual ", "machine ", "kernel ", "queue ", "ring ", "exit ", "page ", "fault "};
        StringBuilder text = new StringBuilder();
        while (text.length() < size) {
            switch (random.nextInt(8)) {
                case 0 -> text.append(random.nextInt(100_000)).append('\n');
                case 1 -> text.append((char) random.nextInt(256));
                default -> text.append(words[random.nextInt(words.length)]);
            }
        }
        return text.substring(0, size).getBytes(StandardCharsets.ISO_8859_1);
    }

    /** Noise, which does not pack. */
    static byte[] noise(int size) {
        byte[] bytes = new byte[size];
        new Random(11).nextBytes(bytes);
        return bytes;
    }
}
