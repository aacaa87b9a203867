package io.github.jkvm.machine.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.device.Serial16550;
import io.github.jkvm.machine.pci.PciLayout;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Clauses are those of the ACPI specification, version 6.5. */
class AcpiTablesTest {
    private static final GuestRange SPACE = GuestRange.between(0xE_0000, 0x10_0000);

    private final GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, 0x10_0000));

    private static final List<Aml> DEVICES = List.of(
            PlatformAml.serial(Serial16550.Port.COM1),
            PlatformAml.serial(Serial16550.Port.COM2),
            PlatformAml.clock(),
            PlatformAml.keyboard(),
            PlatformAml.pvPanic(),
            Aml.device(
                    "VR00",
                    Aml.name("_HID", Aml.string("LNRO0005")),
                    Aml.name("_UID", Aml.integer(0)),
                    Aml.name(
                            "_CRS",
                            Aml.resources(
                                    AcpiResource.memory(0xD000_0000L, 0x1000),
                                    AcpiResource.interrupt(16, AcpiResource.Trigger.EDGE)))),
            Aml.device(
                    "BIG0",
                    Aml.name("_HID", Aml.string("LNRO0006")),
                    Aml.name("_CRS", Aml.resources(AcpiResource.memory(1L << 40, 1L << 33)))));

    private AcpiTables write(int vcpus) {
        AcpiTables tables = AcpiTables.of(
                SPACE,
                IntStream.range(0, vcpus).boxed().toList(),
                Set.of(AcpiTables.LegacyDevice.values()),
                DEVICES,
                PciLayout.pc(1L << 32, 40));
        tables.writeTo(memory);
        return tables;
    }

    private String text(long address, int length) {
        return new String(memory.read(address, length), StandardCharsets.US_ASCII);
    }

    private int sum(long address, int length) {
        int sum = 0;
        for (byte b : memory.read(address, length)) {
            sum += b;
        }
        return sum & 0xFF;
    }

    private long table(AcpiTables tables, String signature) {
        long xsdt = memory.readLong(tables.rsdp().value() + 24);
        for (long entry = xsdt + 36; entry < xsdt + memory.readInt(xsdt + 4); entry += 8) {
            long address = memory.readLong(entry);
            if (text(address, 4).equals(signature)) {
                return address;
            }
        }
        throw new AssertionError("no table " + signature);
    }

    /** 5.2.5.3: the first 20 bytes and the whole structure add up to 0; the revision is 2. */
    @Test
    void rootIsFoundAndAddsUp() {
        long rsdp = write(1).rsdp().value();
        assertThat(rsdp % 16).as("5.2.5.1: on a 16-byte boundary").isZero();
        assertThat(text(rsdp, 8)).isEqualTo("RSD PTR ");
        assertThat(memory.readByte(rsdp + 15)).isEqualTo((byte) 2);
        assertThat(sum(rsdp, 20)).isZero();
        assertThat(sum(rsdp, 36)).isZero();
    }

    /** 5.2.6: "The entire table, including the checksum field, must add to zero to be considered valid." */
    @Test
    void everyTableAddsUp() {
        AcpiTables tables = write(300);
        long xsdt = memory.readLong(tables.rsdp().value() + 24);
        long fadt = table(tables, "FACP");
        long dsdt = memory.readLong(fadt + 140);
        for (long address : new long[] {xsdt, fadt, table(tables, "APIC"), table(tables, "MCFG"), dsdt}) {
            int length = memory.readInt(address + 4);
            assertThat(sum(address, length)).as(text(address, 4)).isZero();
            assertThat(address + length).isLessThanOrEqualTo(tables.range().end());
        }
    }

    /** 5.2.9: revision 6 has 276 bytes, and the extended fields agree with the old ones. */
    @Test
    void fixedTableNamesTheRegistersOfTheBoard() {
        AcpiTables tables = write(1);
        long fadt = table(tables, "FACP");
        assertThat(memory.readInt(fadt + 4)).isEqualTo(276);
        assertThat(memory.readByte(fadt + 8)).isEqualTo((byte) 6);
        assertThat(memory.readInt(fadt + 40)).as("DSDT").isEqualTo((int) memory.readLong(fadt + 140));
        assertThat(memory.readShort(fadt + 46)).as("SCI").isEqualTo((short) 9);
        assertThat(memory.readInt(fadt + 48))
                .as("no SMI command port: always in ACPI mode")
                .isZero();
        assertThat(memory.readInt(fadt + 56)).isEqualTo((int) memory.readLong(fadt + 152));
        assertThat(memory.readInt(fadt + 64)).isEqualTo((int) memory.readLong(fadt + 176));
        assertThat(memory.readInt(fadt + 76)).isEqualTo((int) memory.readLong(fadt + 212));
        assertThat(memory.readByte(fadt + 108)).as("century").isEqualTo((byte) 0x32);
        assertThat(memory.readShort(fadt + 109))
                .as("legacy devices, 8042, no VGA")
                .isEqualTo((short) 0b111);
        assertThat(memory.readInt(fadt + 112) & (1 << 20))
                .as("not hardware-reduced")
                .isZero();
        assertThat(memory.readLong(fadt + 120)).as("reset register").isEqualTo(0xCF9);
        assertThat(memory.readByte(fadt + 128)).isEqualTo((byte) 6);
        long facs = Integer.toUnsignedLong(memory.readInt(fadt + 36));
        assertThat(facs % 64).as("5.2.10: aligned to 64 bytes").isZero();
        assertThat(text(facs, 4)).isEqualTo("FACS");
    }

    @Test
    void fixedTableTellsWhichOldDevicesAreMissing() {
        AcpiTables tables = AcpiTables.of(SPACE, List.of(0), Set.of(), List.of());
        tables.writeTo(memory);
        assertThat(memory.readShort(table(tables, "FACP") + 109)).isEqualTo((short) 0b10_0101);
    }

    /** 5.2.12.2 and 5.2.12.12: APIC ids above 254 take x2APIC structures. */
    @Test
    void everyProcessorIsListed() {
        long madt = table(write(300), "APIC");
        assertThat(memory.readInt(madt + 36)).isEqualTo(0xFEE0_0000);
        List<Integer> ids = new ArrayList<>();
        List<String> others = new ArrayList<>();
        long end = madt + memory.readInt(madt + 4);
        for (long at = madt + 44; at < end; at += memory.readByte(at + 1)) {
            switch (memory.readByte(at)) {
                case 0 -> ids.add(memory.readByte(at + 3) & 0xFF);
                case 9 -> ids.add(memory.readInt(at + 4));
                case 1 -> others.add("ioapic " + Integer.toHexString(memory.readInt(at + 4)));
                case 2 ->
                    others.add("irq " + memory.readByte(at + 3) + " gsi " + memory.readInt(at + 4) + " flags "
                            + memory.readShort(at + 8));
                default -> throw new AssertionError("type " + memory.readByte(at));
            }
        }
        assertThat(ids).isEqualTo(IntStream.range(0, 300).boxed().toList());
        assertThat(others).containsExactly("ioapic fec00000", "irq 0 gsi 2 flags 0", "irq 9 gsi 9 flags 13");
    }

    /** PCI Firmware Specification 3.2, table 4-2: one entry, of 16 bytes after 8 reserved ones. */
    @Test
    void configurationSpaceInMemoryIsToldOf() {
        long mcfg = table(write(1), "MCFG");
        assertThat(memory.readInt(mcfg + 4)).isEqualTo(36 + 8 + 16);
        assertThat(memory.readLong(mcfg + 44)).isEqualTo(0xE000_0000L);
        assertThat(memory.readLong(mcfg + 52)).as("segment 0, bus 0 to 0").isZero();
        AcpiTables without = AcpiTables.of(SPACE, List.of(0), Set.of(), List.of());
        without.writeTo(memory);
        assertThatThrownBy(() -> table(without, "MCFG")).hasMessage("no table MCFG");
    }

    @Test
    void refusesSpaceThatIsTooSmall() {
        List<Integer> ids = IntStream.range(0, 100).boxed().toList();
        assertThatThrownBy(() -> AcpiTables.of(new GuestRange(0xE0000, 1024), ids, Set.of(), List.of()))
                .hasMessageContaining("need more than the 1024 bytes");
        assertThatThrownBy(() -> AcpiTables.of(new GuestRange(0xE0010, 4096), ids, Set.of(), List.of()))
                .hasMessageContaining("multiple of 64");
    }

    /** Intel's compiler takes the DSDT apart and puts it together again without a complaint. */
    @Test
    void iaslReadsTheDevices(@TempDir Path folder) throws Exception {
        assumeTrue(
                hasIasl(),
                "iasl is not installed (apt-get install acpica-tools): the DSDT is not checked against ACPICA");
        AcpiTables tables = write(2);
        long dsdt = memory.readLong(table(tables, "FACP") + 140);
        Files.write(folder.resolve("dsdt.aml"), memory.read(dsdt, memory.readInt(dsdt + 4)));
        String disassembled = iasl(folder, "-d", "dsdt.aml");
        assertThat(disassembled).doesNotContainIgnoringCase("error").doesNotContainIgnoringCase("warning");
        String source = Files.readString(folder.resolve("dsdt.dsl"));
        assertThat(source)
                .contains("EisaId (\"PNP0501\") /* 16550A-compatible COM Serial Port */")
                .contains("Method (_PIC, 1, NotSerialized)")
                .contains("Name (_S5, Package (0x04)")
                .contains("\"LNRO0005\"")
                .contains("EisaId (\"PNP0A08\") /* PCI Express Bus */")
                .contains("DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,")
                .contains("0x1EA00000,         // Length")
                .contains("0x0000000800000000, // Length")
                .contains("WordBusNumber (ResourceProducer");
        String compiled = iasl(folder, "-p", "again", "dsdt.dsl");
        assertThat(compiled).contains("0 Errors, 0 Warnings");
        assertThat(Files.readAllBytes(folder.resolve("again.aml")))
                .as("the same byte code again, but for the header")
                .endsWith(memory.read(dsdt + 36, memory.readInt(dsdt + 4) - 36));
    }

    /** The fixed tables too: iasl names every field it can't make sense of. */
    @Test
    void iaslReadsTheFixedTables(@TempDir Path folder) throws Exception {
        assumeTrue(
                hasIasl(),
                "iasl is not installed (apt-get install acpica-tools): FADT and MADT are not checked against ACPICA");
        AcpiTables tables = write(2);
        for (String signature : List.of("FACP", "APIC", "MCFG")) {
            long address = table(tables, signature);
            Files.write(folder.resolve(signature + ".aml"), memory.read(address, memory.readInt(address + 4)));
            assertThat(iasl(folder, "-d", signature + ".aml"))
                    .doesNotContainIgnoringCase("error")
                    .doesNotContainIgnoringCase("warning")
                    .doesNotContainIgnoringCase("invalid");
        }
    }

    private static boolean hasIasl() {
        return List.of("/usr/bin/iasl", "/usr/local/bin/iasl").stream()
                .map(Path::of)
                .anyMatch(Files::isExecutable);
    }

    private static String iasl(Path folder, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("iasl"));
        command.addAll(List.of(arguments));
        var process = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return output;
    }
}
