package io.github.jkvm.kvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.HostPages.Remains;
import io.github.jkvm.MemoryBacking;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MappedPagesTest {
    private static final long PAGE = 4096;
    private static final long MIB = 1L << 20;

    @TempDir
    Path folder;

    private static long residentKib(String field) throws IOException {
        var matcher = Pattern.compile(field + ":\\s+(\\d+) kB").matcher(Files.readString(Path.of("/proc/self/status")));
        assertThat(matcher.find()).isTrue();
        return Long.parseLong(matcher.group(1));
    }

    private static byte at(HostMemory memory, long offset) {
        return memory.segment().get(JAVA_BYTE, offset);
    }

    private static void givesPagesBack(MemoryBacking backing, String counter) throws IOException {
        HostMemory memory = HostMemory.of(backing);
        try {
            memory.segment().fill((byte) 5);
            long before = residentKib(counter);
            assertThat(memory.pages().discard(8 * MIB, 32 * MIB)).isEqualTo(32 * MIB);
            // The rest of the process moves a little meanwhile.
            assertThat(before - residentKib(counter)).isGreaterThan(24 << 10);
            assertThat(memory.pages().remains()).isEqualTo(Remains.ZEROS);
            MemorySegment gone = memory.segment().asSlice(8 * MIB, 32 * MIB);
            assertThat(gone.mismatch(MemorySegment.ofArray(new byte[(int) (32 * MIB)])))
                    .isEqualTo(-1);
            assertThat(at(memory, 8 * MIB - 1)).isEqualTo((byte) 5);
            assertThat(at(memory, 40 * MIB)).isEqualTo((byte) 5);
        } finally {
            memory.close();
        }
    }

    @Test
    void knowsWhichPagesAreNoLongerAsTheyBegan() throws IOException {
        Path file = Files.write(folder.resolve("file"), new byte[(int) MIB]);
        for (MemoryBacking backing :
                List.of(MemoryBacking.anonymous(MIB), MemoryBacking.copyOnWriteFile(file, 0, MIB))) {
            HostMemory memory = HostMemory.of(backing);
            try {
                assertThat(memory.pages().changed().orElseThrow().isEmpty()).isTrue();
                memory.segment().set(JAVA_BYTE, 3 * PAGE + 7, (byte) 1);
                memory.segment().set(JAVA_BYTE, MIB - 1, (byte) 1);
                assertThat(memory.pages().changed().orElseThrow().offsets()).containsExactly(3 * PAGE, MIB - PAGE);
                memory.pages().discard(0, MIB / 2);
                assertThat(memory.pages().changed().orElseThrow().offsets()).containsExactly(MIB - PAGE);
            } finally {
                memory.close();
            }
        }
    }

    /** Pages that are read from a file are the file's. */
    @Test
    void readingAFileChangesNothing() throws IOException {
        Path file = Files.write(folder.resolve("file"), new byte[(int) MIB]);
        HostMemory memory = HostMemory.of(MemoryBacking.copyOnWriteFile(file, 0, MIB));
        try {
            assertThat(memory.segment().mismatch(MemorySegment.ofArray(new byte[(int) MIB])))
                    .isEqualTo(-1);
            assertThat(memory.pages().changed().orElseThrow().isEmpty()).isTrue();
        } finally {
            memory.close();
        }
    }

    @Test
    void doesNotKnowWhatOthersWrite() {
        HostMemory memory = HostMemory.of(MemoryBacking.memfd(MIB, "shared"));
        try {
            assertThat(memory.pages().changed()).isEmpty();
        } finally {
            memory.close();
        }
    }

    @Test
    void givesPagesOfThisProcessBack() throws IOException {
        givesPagesBack(MemoryBacking.anonymous(48 * MIB), "RssAnon");
    }

    @Test
    void givesPagesOfAMemfdBack() throws IOException {
        givesPagesBack(MemoryBacking.memfd(48 * MIB, "discarded"), "RssShmem");
    }

    @Test
    void keepsPagesThatAreDiscardedInPart() {
        HostMemory memory = HostMemory.of(MemoryBacking.anonymous(4 * PAGE));
        try {
            memory.segment().fill((byte) 5);
            assertThat(memory.pages().discard(1, PAGE)).isZero();
            assertThat(memory.pages().discard(PAGE - 1, PAGE)).isZero();
            assertThat(memory.pages().discard(1, 3 * PAGE - 2)).isEqualTo(PAGE);
            assertThat(at(memory, 0)).isEqualTo((byte) 5);
            assertThat(at(memory, PAGE - 1)).isEqualTo((byte) 5);
            assertThat(at(memory, PAGE)).isZero();
            assertThat(at(memory, 2 * PAGE)).isEqualTo((byte) 5);
        } finally {
            memory.close();
        }
    }

    @Test
    void leavesFilesAsTheyAre() throws IOException {
        byte[] contents = new byte[(int) (2 * PAGE)];
        Arrays.fill(contents, (byte) 3);
        Path file = Files.write(folder.resolve("file"), contents);

        HostMemory shared = HostMemory.of(MemoryBacking.sharedFile(file, PAGE, PAGE));
        shared.segment().set(JAVA_BYTE, 0, (byte) 4);
        assertThat(shared.pages().discard(0, PAGE)).isEqualTo(PAGE);
        assertThat(shared.pages().remains()).isEqualTo(Remains.FILE_CONTENTS);
        assertThat(at(shared, 0)).as("written to the file before").isEqualTo((byte) 4);
        assertThat(shared.pages().sharedFile())
                .hasValueSatisfying(there -> assertThat(there.offset()).isEqualTo(PAGE));
        shared.close();

        HostMemory copied = HostMemory.of(MemoryBacking.copyOnWriteFile(file, PAGE, PAGE));
        copied.segment().set(JAVA_BYTE, 0, (byte) 9);
        assertThat(copied.pages().discard(0, PAGE)).isEqualTo(PAGE);
        assertThat(copied.pages().remains()).isEqualTo(Remains.FILE_CONTENTS);
        assertThat(at(copied, 0)).isEqualTo((byte) 4);
        assertThat(copied.pages().sharedFile()).isEmpty();
        copied.close();
    }

    @Test
    void refusesMemoryThatIsGone() {
        HostMemory memory = HostMemory.of(MemoryBacking.anonymous(PAGE));
        memory.close();
        assertThatIllegalStateException().isThrownBy(() -> memory.pages().discard(0, PAGE));
    }
}
