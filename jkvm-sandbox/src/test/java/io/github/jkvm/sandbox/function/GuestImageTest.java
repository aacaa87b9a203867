package io.github.jkvm.sandbox.function;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class GuestImageTest {
    private static void assertRefused(Consumer<ByteBuffer> change, String why) {
        byte[] file = TestElf.bytes();
        change.accept(ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN));
        assertThatThrownBy(() -> GuestInterface.read(new GuestImage(file), new GuestTypes(GuestImage.BASE)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("the guest can't be loaded: ")
                .hasMessageContaining(why);
    }

    private static Consumer<ByteBuffer> text(int at, String text) {
        return file -> file.put(at, text.getBytes(java.nio.charset.StandardCharsets.US_ASCII));
    }

    @Test
    void findsTheFunctions() {
        var types = new GuestTypes(GuestImage.BASE + 0x3000);
        GuestInterface functions = GuestInterface.read(new GuestImage(TestElf.bytes()), types);
        assertThat(functions.export("add").signature()).hasToString("long add(long, long)");
        assertThat(functions.export("move").signature()).hasToString("const point *move(const point *, double)");
        assertThat(functions.imports())
                .singleElement()
                .satisfies(wish -> assertThat(wish.signature()).hasToString("long now(void)"));
        assertThat(types.imports()).hasSize(1);
        assertThatThrownBy(() -> functions.export("sub"))
                .hasMessage("the guest has no function 'sub'; it has add, move");
    }

    @Test
    void wholeNumbersInRegistersTakeTheShortWay() {
        var image = new GuestImage(TestElf.bytes());
        GuestInterface functions = GuestInterface.read(image, new GuestTypes(GuestImage.BASE + 0x3000));
        assertThat(functions.export("add").next()).isEqualTo(image.next(2));
        assertThat(functions.export("move").next()).isEqualTo(image.nextForAny());
    }

    @Test
    void refusesWhatIsNoGuest() {
        assertRefused(file -> file.putInt(0, 0), "no ELF file");
        assertRefused(file -> file.putShort(18, (short) 3), "no 64-bit x86 executable");
        assertRefused(file -> file.putLong(24, 0), "entry 0x0");
        assertRefused(file -> file.putShort(56, (short) 0), "0 program headers");
        assertRefused(file -> file.putInt(64 + 4, 7), "both written and run");
        assertRefused(file -> file.putLong(64 + 16, 0x1000), "must begin at a page");
        assertRefused(file -> file.putLong(64 + 56 + 16, 0x40_0000), "share the page");
        assertRefused(file -> file.putLong(64 + 32, 1 << 20), "too short");
        assertRefused(file -> file.putInt(64 + 3 * 56, 0), "no note");
        assertRefused(file -> file.putLong(TestElf.NOTE + 20, 2), "version 2");
        assertRefused(file -> file.putLong(TestElf.NOTE + 28, 0), "RECORDS");
    }

    @Test
    void refusesFunctionsThatCannotBe() {
        int strings = TestElf.TABLES + 0x400;
        assertRefused(text(strings + 6, "int x[2]; int y;"), "int x[2]");
        assertRefused(text(strings + 6, "int x; float  y;"), "takes 16 bytes");
        assertRefused(text(strings + 6, "int x; point  y;"), "lies in more than 8 others");
        assertRefused(file -> file.putLong(TestElf.TABLES + 0x200 + 24, 0x40_2000), "not in executable memory");
        assertRefused(
                file -> file.putLong(TestElf.TABLES + 0x220, file.getLong(TestElf.TABLES + 0x200)),
                "two functions have");
        assertRefused(file -> file.putLong(TestElf.TABLES + 0x200, 1), "the file has nothing");
        assertRefused(
                file -> file.putLong(TestElf.TABLES + 0x208, file.getLong(TestElf.TABLES + 0x200)),
                "function 'add' has the type 'add'");
    }
}
