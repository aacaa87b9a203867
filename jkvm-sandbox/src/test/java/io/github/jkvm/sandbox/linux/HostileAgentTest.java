package io.github.jkvm.sandbox.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxState;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** An agent that is none: whoever is root in a guest can be behind it. */
class HostileAgentTest {
    private static final CommandOrder ORDER = new CommandOrder(List.of("x"), Map.of(), "/", CommandUser.ROOT);

    /** Says what it was told to, whatever it is asked. */
    private static final class Recording implements ByteChannel {
        private final ByteBuffer replies;

        Recording(byte[] replies) {
            this.replies = ByteBuffer.wrap(replies);
        }

        @Override
        public int read(ByteBuffer target) {
            if (!replies.hasRemaining()) {
                return -1;
            }
            int count = Math.min(target.remaining(), replies.remaining());
            target.put(replies.slice(replies.position(), count));
            replies.position(replies.position() + count);
            return count;
        }

        @Override
        public int write(ByteBuffer source) {
            int count = source.remaining();
            source.position(source.limit());
            return count;
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() {}
    }

    private static byte[] frame(FrameType type, byte... payload) {
        return ByteBuffer.allocate(Frame.HEADER + payload.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(type.code())
                .putInt(payload.length)
                .put(payload)
                .array();
    }

    private static byte[] join(List<byte[]> parts) {
        var all = new ByteArrayOutputStream();
        parts.forEach(all::writeBytes);
        return all.toByteArray();
    }

    /** A sandbox whose agent is honest about itself only. */
    private static Calls saying(byte[] replies) {
        byte[] ready = frame(FrameType.READY, (byte) Agent.VERSION, (byte) 0, (byte) 0, (byte) 0);
        boolean[] asked = new boolean[1];
        return new Calls(
                ChannelGuest.always(() -> {
                    byte[] reply = asked[0] ? replies : ready;
                    asked[0] = true;
                    return new Recording(reply);
                }),
                Duration.ofMinutes(1));
    }

    private static void pump(Calls calls, Limits limits) throws IOException {
        try (CommandProcess process =
                CommandProcess.start(calls, limits, ORDER, new PipedOutput(), new PipedOutput())) {
            process.pump();
        }
    }

    private static void assertCrashes(byte[]... frames) {
        try (Calls calls = saying(join(List.of(frames)))) {
            assertThatExceptionOfType(GuestCrashedException.class).isThrownBy(() -> pump(calls, Limits.DEFAULT));
            assertThat(calls.state()).isEqualTo(SandboxState.POISONED);
        }
    }

    private static final byte[] STARTED = frame(FrameType.STARTED, new byte[4]);
    private static final byte[] EXITED = frame(FrameType.EXITED, new byte[5]);

    @Test
    void crashesTheGuestByBreakingTheRules() {
        assertCrashes(new byte[0]);
        assertCrashes(new byte[] {STARTED[0], 0, 0});
        assertCrashes(new byte[] {'?', 0, 0, 0, 0});
        assertCrashes(new byte[] {STARTED[0], -1, -1, -1, -1});
        assertCrashes(frame(FrameType.STARTED, new byte[5]));
        assertCrashes(frame(FrameType.FAILED, new byte[3]));
        assertCrashes(frame(FrameType.READY, new byte[4]));
        assertCrashes(STARTED);
        assertCrashes(STARTED, STARTED);
        assertCrashes(STARTED, EXITED, EXITED);
        assertCrashes(STARTED, frame(FrameType.EXITED, (byte) 2, (byte) 0, (byte) 0, (byte) 0, (byte) 0));
        assertCrashes(STARTED, frame(FrameType.EXITED, (byte) 0, (byte) 0, (byte) 1, (byte) 0, (byte) 0));
        assertCrashes(STARTED, frame(FrameType.ENDED, (byte) 3));
        assertCrashes(STARTED, frame(FrameType.ENDED, (byte) 1), frame(FrameType.ENDED, (byte) 1));
        assertCrashes(STARTED, frame(FrameType.ENDED, (byte) 1), frame(FrameType.OUTPUT, (byte) 1));
        assertCrashes(STARTED, frame(FrameType.CREDIT, (byte) 1, (byte) 0, (byte) 0, (byte) 0));
        assertCrashes(STARTED, frame(FrameType.CREDIT, new byte[4]));
    }

    @Test
    void cannotSendMoreThanItHasCreditFor() {
        byte[] much = frame(FrameType.OUTPUT, new byte[Frame.MAX_PAYLOAD]);
        assertCrashes(STARTED, much, much, much);
    }

    @Test
    void failsACommandWithAMessageThatDoesNoHarm() throws IOException {
        byte[] text = "\0\0\0\0can't \33[2J\n run".getBytes(StandardCharsets.UTF_8);
        try (Calls calls = saying(frame(FrameType.FAILED, text))) {
            assertThatExceptionOfType(SandboxException.class)
                    .isThrownBy(() -> pump(calls, Limits.DEFAULT))
                    .withMessage("can't ?[2J? run");
            assertThat(calls.state()).isEqualTo(SandboxState.READY);
        }
    }

    @Provide
    Arbitrary<byte[]> replies() {
        Arbitrary<byte[]> frames = Combinators.combine(
                        Arbitraries.of(FrameType.values()),
                        Arbitraries.bytes()
                                .between((byte) 0, (byte) 3)
                                .array(byte[].class)
                                .ofMaxSize(24))
                .as(HostileAgentTest::frame);
        Arbitrary<byte[]> likely = Arbitraries.of(
                STARTED,
                EXITED,
                frame(FrameType.ENDED, (byte) 1),
                frame(FrameType.ENDED, (byte) 2),
                frame(FrameType.OUTPUT, (byte) 7));
        Arbitrary<byte[]> noise = Arbitraries.bytes().array(byte[].class).ofMaxSize(20);
        return Arbitraries.frequencyOf(
                        net.jqwik.api.Tuple.of(5, likely),
                        net.jqwik.api.Tuple.of(4, frames),
                        net.jqwik.api.Tuple.of(1, noise))
                .list()
                .ofMaxSize(12)
                .map(parts ->
                        join(Stream.concat(Stream.of(STARTED), parts.stream()).toList()));
    }

    @Property
    void endsEveryCommandInAResultOrASandboxException(@ForAll("replies") byte[] replies) throws IOException {
        try (Calls calls = saying(replies)) {
            pump(calls, Limits.DEFAULT);
        } catch (SandboxException expected) {
            assertThat(expected).hasMessageNotContaining("null");
        }
    }

    private static byte[] entry(char kind, String name, String target) {
        byte[] path = name.getBytes(StandardCharsets.UTF_8);
        byte[] link = target.getBytes(StandardCharsets.UTF_8);
        ByteBuffer payload = ByteBuffer.allocate(15 + path.length + link.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) kind)
                .putInt(07777)
                .putLong(-1)
                .putShort((short) path.length)
                .put(path)
                .put(link);
        return frame(FrameType.ENTRY, payload.array());
    }

    @Provide
    Arbitrary<List<byte[]>> entries() {
        Arbitrary<String> paths = Arbitraries.of("a", "b", "..", ".", "", "etc", "a\0", "/")
                .list()
                .ofMaxSize(3)
                .map(parts -> String.join("/", parts));
        Arbitrary<byte[]> entry = Combinators.combine(Arbitraries.of('f', 'd', 'd', 'l'), paths, paths)
                .as((kind, name, target) -> entry(kind, name, target));
        return entry.list().ofMaxSize(8);
    }

    @Property(tries = 600)
    void writesNothingOutsideTheTarget(@ForAll("entries") List<byte[]> entries) throws IOException {
        Path folder = Files.createTempDirectory("hostile");
        Path target = folder.resolve("in/target");
        Files.createDirectory(folder.resolve("in"));
        var all = new ByteArrayOutputStream();
        all.writeBytes(entry('d', "", ""));
        entries.forEach(all::writeBytes);
        all.writeBytes(frame(FrameType.BYTES, (byte) 1));
        all.writeBytes(frame(FrameType.END));
        try (Calls calls = saying(all.toByteArray())) {
            FileReceiver.copy(calls, Limits.DEFAULT, "/x", target);
            assertLeadsNowhereElse(target);
        } catch (SandboxException | IOException refused) {
            assertThat(target).doesNotExist();
        } finally {
            try (Stream<Path> outside = Files.list(folder)) {
                assertThat(outside).containsExactly(folder.resolve("in"));
            }
            deleteAll(folder);
        }
    }

    private static void assertLeadsNowhereElse(Path target) throws IOException {
        Path real = target.toRealPath();
        try (Stream<Path> all = Files.walk(target)) {
            for (Path each : all.toList()) {
                if (Files.exists(each)) {
                    assertThat(each.toRealPath().startsWith(real))
                            .as("%s leads out", each)
                            .isTrue();
                }
            }
        }
    }

    private static void deleteAll(Path folder) throws IOException {
        List<Path> all;
        try (Stream<Path> found = Files.walk(folder)) {
            all = found.toList();
        }
        for (Path each : all.reversed()) {
            assertThat(Files.exists(each, LinkOption.NOFOLLOW_LINKS)).isTrue();
            Files.delete(each);
        }
    }
}
