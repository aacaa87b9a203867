package io.github.jkvm.machine.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Clauses are those of the ACPI specification, version 6.5. */
class AmlTest {
    private static String hex(Aml term) {
        return HexFormat.ofDelimiter(" ").formatHex(term.toBytes());
    }

    /** 20.2.3: ZeroOp, OneOp, and the prefixes for 1, 2, 4 and 8 bytes, lowest first. */
    @ParameterizedTest
    @CsvSource({
        "0, 00",
        "1, 01",
        "2, 0a 02",
        "255, 0a ff",
        "256, 0b 00 01",
        "65536, 0c 00 00 01 00",
        "4294967296, 0e 00 00 00 00 01 00 00 00",
        "-1, 0e ff ff ff ff ff ff ff ff"
    })
    void numbersTakeTheShortestForm(long value, String expected) {
        assertThat(hex(Aml.integer(value))).isEqualTo(expected);
    }

    /** 20.2.2: names are padded with underscores; DualNamePrefix for two, MultiNamePrefix and a count for more. */
    @ParameterizedTest
    @CsvSource({
        "_HID, 5f 48 49 44",
        "RTC, 52 54 43 5f",
        "\\_SB, 5c 5f 53 42 5f",
        "\\_SB.COM1, 5c 2e 5f 53 42 5f 43 4f 4d 31",
        "A.B.C, 2f 03 41 5f 5f 5f 42 5f 5f 5f 43 5f 5f 5f"
    })
    void pathsAreNameStrings(String path, String expected) {
        assertThat(hex(Aml.reference(path))).isEqualTo(expected);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "abcd", "TOOLONG", "1ABC", "A..B", "\\", "A B"})
    void refusesWhatIsNoName(String path) {
        assertThatThrownBy(() -> Aml.reference(path))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("AML name");
    }

    /** 20.2.5.3: NotifyOp, the object, and the value. */
    @Test
    void notifiesADevice() {
        assertThat(hex(Aml.notify("\\_SB.VGEN", 0x80))).isEqualTo("86 5c 2e 5f 53 42 5f 56 47 45 4e 0a 80");
        assertThat(hex(Aml.notify("RTC", 1))).isEqualTo("86 52 54 43 5f 01");
        assertThatThrownBy(() -> Aml.notify("A..B", 1)).hasMessageContaining("AML name");
    }

    /** 19.6.37: "PNP0A03" compresses to 0x030AD041. */
    @Test
    void compressesEisaIdentities() {
        assertThat(hex(Aml.eisaId("PNP0A03"))).isEqualTo("0c 41 d0 0a 03");
        assertThat(hex(Aml.eisaId("PNP0501"))).isEqualTo("0c 41 d0 05 01");
        assertThatThrownBy(() -> Aml.eisaId("QEMU0001")).hasMessageContaining("EISA id");
    }

    /** 20.2.4: one byte below 64; else 4 bits in the first, and 8 in each of up to three more. */
    @Test
    void lengthsCountThemselves() {
        assertThat(hex(Aml.list(Aml.integer(5)))).isEqualTo("12 04 01 0a 05");
        // Content: size (2 bytes) and data.
        assertThat(hex(Aml.buffer(new byte[60]))).startsWith("11 3f 0a 3c 00");
        assertThat(hex(Aml.buffer(new byte[61]))).startsWith("11 41 04 0a 3d 00");
        assertThat(hex(Aml.buffer(new byte[4090]))).startsWith("11 4f ff 0b fa 0f 00");
        assertThat(hex(Aml.buffer(new byte[4091]))).startsWith("11 81 00 01 0b fb 0f 00");
    }

    @Test
    void writesMethodsAndStores() {
        assertThat(hex(Aml.method("_PIC", 1, Aml.store(Aml.argument(0), "PICM"))))
                .isEqualTo("14 0c 5f 50 49 43 01 70 68 50 49 43 4d");
        assertThat(hex(Aml.method("_STA", 0, Aml.returned(Aml.integer(15)))))
                .isEqualTo("14 09 5f 53 54 41 00 a4 0a 0f");
        assertThatThrownBy(() -> Aml.method("_PIC", 8)).hasMessageContaining("8 arguments");
        assertThatThrownBy(() -> Aml.argument(7)).hasMessageContaining("argument 7");
    }

    @Test
    void refusesStringsThatAreNotPrintableAscii() {
        assertThat(hex(Aml.string("QEMU"))).isEqualTo("0d 51 45 4d 55 00");
        assertThatThrownBy(() -> Aml.string("a\nb")).hasMessageContaining("index 1");
    }

    /** 6.4.2.5, 6.4.2.1, 6.4.3.4, 6.4.3.6 and 6.4.2.9. */
    @Test
    void writesResourceDescriptors() {
        byte[] template = AcpiResource.template(
                AcpiResource.ports(0x3F8, 8),
                AcpiResource.isaInterrupt(4),
                AcpiResource.memory(0xD000_0000L, 0x1000),
                AcpiResource.interrupt(17, AcpiResource.Trigger.EDGE));
        assertThat(HexFormat.ofDelimiter(" ").formatHex(template))
                .isEqualTo("47 01 f8 03 f8 03 01 08 "
                        + "22 10 00 "
                        + "86 09 00 01 00 00 00 d0 00 10 00 00 "
                        + "89 06 00 03 01 11 00 00 00 "
                        + "79 00");
    }

    @Test
    void refusesResourcesOutOfRange() {
        assertThatThrownBy(() -> AcpiResource.ports(0xFFFF, 2)).hasMessageContaining("ports are 0 to 0xffff");
        assertThatThrownBy(() -> AcpiResource.isaInterrupt(16)).hasMessageContaining("16");
        assertThatThrownBy(() -> AcpiResource.interrupt(-1, AcpiResource.Trigger.LEVEL))
                .hasMessageContaining("-1");
        assertThatThrownBy(() -> AcpiResource.memory(-16, 17)).hasMessageContaining("address space");
    }
}
