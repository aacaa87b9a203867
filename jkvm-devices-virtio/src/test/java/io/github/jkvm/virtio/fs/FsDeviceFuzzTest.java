package io.github.jkvm.virtio.fs;

import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.io.TempDir;

class FsDeviceFuzzTest extends DeviceFuzzTest {
    /** JUnit puts a folder of its own here. Jazzer does not, and works in a folder of target. */
    @TempDir
    private Path folder = Path.of("..", "files");

    @Override
    protected DeviceFuzz fuzz() {
        return VirtioFuzz.of(this::device, FsDeviceFuzzTest::request);
    }

    private FsDevice device() {
        try {
            Path shared = Files.createDirectories(folder.resolve("shared"));
            FsOptions limits =
                    FsOptions.readWrite().withMaxFiles(64).withMaxOpenFiles(16).withWorkers(2);
            return new FsDevice("fs0", "share", shared, limits);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Chain request(Choices choices, int queue) {
        Chain chain = Chain.of();
        // A session has to begin, and would soon end if it did so as often as it begins.
        int opcode = choices.oneIn(8)
                ? FuseLayout.INIT
                : choices.oneIn(32) ? (int) choices.number() : choices.below(FuseLayout.SYNCFS + 3);
        byte[] arguments = arguments(choices, opcode);
        int length = FuseLayout.IN_HEADER + arguments.length;
        ByteBuffer message = FuseClient.args(length)
                .putInt(choices.oneIn(32) ? (int) choices.number() : length)
                .putInt(opcode)
                .putLong(choices.number())
                .putLong(choices.oneIn(8) ? choices.number() : choices.below(8))
                .put(FuseLayout.IN_HEADER, arguments);
        byte[] bytes = FuseClient.bytes(message);
        int cut = choices.oneIn(4) ? choices.below(bytes.length) : Math.min(bytes.length, FuseLayout.IN_HEADER);
        chain = chain.readable(Arrays.copyOf(bytes, cut));
        if (bytes.length > cut) {
            chain = chain.readable(Arrays.copyOfRange(bytes, cut, bytes.length));
        }
        chain = chain.writable(choices.oneIn(8) ? choices.below(40) : FuseLayout.OUT_HEADER);
        return chain.writable(choices.below(9000));
    }

    private static byte[] arguments(Choices choices, int opcode) {
        if (opcode == FuseLayout.INIT) {
            return FuseClient.bytes(
                    FuseClient.args(16).putInt(7).putInt(38).putInt(0).putInt(-1));
        }
        int size = choices.oneIn(16) ? choices.below(100) : HostileMessageTest.STRUCTURES.getOrDefault(opcode, 0);
        ByteBuffer names = FuseClient.text(name(choices), name(choices));
        ByteBuffer bytes = FuseClient.args(size + names.capacity());
        while (bytes.position() + Long.BYTES <= size) {
            // A number that is large by chance could allocate all of the host's disk.
            boolean large = opcode != FuseLayout.FALLOCATE && choices.oneIn(6);
            bytes.putLong(large ? choices.number() : choices.below(12));
        }
        return FuseClient.bytes(bytes.put(size, FuseClient.bytes(names)));
    }

    private static String name(Choices choices) {
        return HostileMessageTest.NAMES.get(choices.below(HostileMessageTest.NAMES.size()));
    }
}
