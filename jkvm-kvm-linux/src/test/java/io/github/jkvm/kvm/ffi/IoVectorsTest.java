package io.github.jkvm.kvm.ffi;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Vectors that stay from call to call while some are taken out: what the kernel then writes of them. */
class IoVectorsTest {
    private final MemorySegment letters = Arena.ofAuto().allocateFrom("abcdefghijklmnopqrstuvwxyz");
    private final IoVectors vectors = new IoVectors(8);

    @TempDir
    private Path folder;

    private String written() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        try (Arena arena = Arena.ofConfined();
                var fd = new OwnedFd(Libc.open(arena.allocateFrom(file.toString()), Libc.O_RDWR, 0), "the file")) {
            assertThat(vectors.tryWrite(fd)).isEqualTo(vectors.bytes());
        }
        return Files.readString(file, ISO_8859_1);
    }

    private void addAll() {
        for (int at : new int[] {0, 3, 6, 9, 12}) {
            vectors.add(letters, at, 3);
        }
    }

    @Test
    void movesTheOthersUpWhenSomeAreTakenOut() throws IOException {
        addAll();

        vectors.remove(1, 2);

        assertThat(vectors.count()).isEqualTo(3);
        assertThat(written()).isEqualTo("abcjklmno");
        vectors.add(letters, 25, 1);
        assertThat(written()).isEqualTo("abcjklmnoz");
        vectors.remove(1, 3);
        assertThat(written()).isEqualTo("abc");
    }

    @Test
    void cutsTheBeginningOfAVector() throws IOException {
        addAll();

        vectors.cut(1, 2);
        vectors.cut(2, 3);
        vectors.cut(3, 0);

        assertThat(written()).isEqualTo("abcfjklmno");
        assertThat(vectors.count()).isEqualTo(5);
    }

    @Test
    void refusesToTakeOutWhatIsNotThere() {
        addAll();

        assertThatThrownBy(() -> vectors.remove(4, 2)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> vectors.remove(-1, 1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> vectors.cut(5, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> vectors.cut(0, 4)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThat(vectors.bytes()).isEqualTo(15);
    }
}
