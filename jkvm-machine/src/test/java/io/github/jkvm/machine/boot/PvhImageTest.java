package io.github.jkvm.machine.boot;

import static io.github.jkvm.machine.boot.BootFixtures.CODE;
import static io.github.jkvm.machine.boot.BootFixtures.PVH_ENTRY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.Registers;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PvhImageTest {

    @Test
    void putsSegmentsAtTheirPhysicalAddressesAndZeroesWhatTheFileLacks() {
        GuestMemory memory = BootFixtures.memory();
        LoadedKernel kernel = KernelImage.of(BootFixtures.pvhKernel().build())
                .load(memory, BootFixtures.parameters().build());
        assertThat(kernel.format()).isEqualTo(KernelFormat.PVH);
        assertThat(kernel.mode()).isEqualTo(EntryMode.PROTECTED32);
        assertThat(kernel.entry()).isEqualTo(GuestAddress.of(PVH_ENTRY));
        assertThat(kernel.kernel()).isEqualTo(new GuestRange(0x10_0000, 0x2000));
        assertThat(memory.read(0x10_0000, CODE.length)).isEqualTo(CODE);
        assertThat(memory.read(0x10_0000 + CODE.length, 0x2000 - CODE.length)).containsOnly(0);
        assertThat(memory.readByte(0x10_2000)).as("behind the kernel").isEqualTo((byte) 0xAA);
    }

    @ParameterizedTest
    @CsvSource({"4, 4", "4, 8", "8, 4", "8, 8"})
    void findsTheEntryInNotesOfEitherAlignmentAndWidth(int alignment, int width) {
        byte[] image = ElfBuilder.elf64()
                .load(0, 0x10_0000, CODE, CODE.length)
                .notes(
                        alignment,
                        ElfBuilder.note(alignment, "GNU", 3, new byte[20]),
                        ElfBuilder.note(alignment, "Xen", 6, "linux\0".getBytes(StandardCharsets.US_ASCII)),
                        ElfBuilder.note(alignment, "Xen", 18, ElfBuilder.number(PVH_ENTRY, width)))
                .build();
        assertThat(PvhImage.of(image)
                        .load(BootFixtures.memory(), BootFixtures.parameters().build())
                        .registers()
                        .rip())
                .isEqualTo(PVH_ENTRY);
    }

    @Test
    void takesA32BitElf() {
        byte[] image = ElfBuilder.elf32()
                .load(0xC010_0000L, 0x10_0000, CODE, 16)
                .notes(4, BootFixtures.pvhNote())
                .build();
        assertThat(KernelImage.of(image)).isInstanceOf(PvhImage.class);
    }

    @Test
    void writesTheStartInfoWithModulesAndMemoryMap() {
        GuestMemory memory = BootFixtures.memory();
        byte[] initrd = {1, 2, 3, 4, 5};
        LoadedKernel kernel = PvhImage.of(BootFixtures.pvhKernel().build())
                .load(
                        memory,
                        BootFixtures.parameters()
                                .commandLine(CommandLine.empty().add("console", "ttyS0"))
                                .initrd(MemorySegment.ofArray(initrd))
                                .module(new BootParameters.Module(
                                        MemorySegment.ofArray(new byte[] {9}), CommandLine.parse("second")))
                                .rsdp(GuestAddress.of(0xE0000))
                                .build());
        // xen/include/public/arch-x86/hvm/start_info.h: struct hvm_start_info, version 1.
        long info = kernel.registers().get(Registers.Name.RBX);
        assertThat(memory.readInt(info)).isEqualTo(0x336EC578);
        assertThat(memory.readInt(info + 4)).as("version").isEqualTo(1);
        assertThat(memory.readInt(info + 8)).as("flags").isZero();
        assertThat(memory.readInt(info + 12)).as("nr_modules").isEqualTo(2);
        assertThat(BootFixtures.text(memory, memory.readLong(info + 24))).isEqualTo("console=ttyS0");
        assertThat(memory.readLong(info + 32)).as("rsdp_paddr").isEqualTo(0xE0000);

        long list = memory.readLong(info + 16);
        assertThat(memory.readLong(list))
                .isEqualTo(kernel.initrd().orElseThrow().start());
        assertThat(memory.readLong(list + 8)).isEqualTo(initrd.length);
        assertThat(memory.read(memory.readLong(list), initrd.length)).isEqualTo(initrd);
        assertThat(memory.readByte(memory.readLong(list + 32))).isEqualTo((byte) 9);
        assertThat(BootFixtures.text(memory, memory.readLong(list + 48))).isEqualTo("second");

        List<MemoryMap.Entry> entries = MemoryMap.pc(BootFixtures.RAM).entries();
        long map = memory.readLong(info + 40);
        assertThat(memory.readInt(info + 48)).as("memmap_entries").isEqualTo(entries.size());
        for (int i = 0; i < entries.size(); i++) {
            assertThat(memory.readLong(map + i * 24L))
                    .isEqualTo(entries.get(i).range().start());
            assertThat(memory.readLong(map + i * 24L + 8))
                    .isEqualTo(entries.get(i).range().size());
            assertThat(memory.readInt(map + i * 24L + 16))
                    .isEqualTo(entries.get(i).kind().number());
        }
    }

    @Test
    void placesTheInitrdOnAPageAtTheTopOfRam() {
        LoadedKernel kernel = PvhImage.of(BootFixtures.pvhKernel().build())
                .load(
                        BootFixtures.memory(),
                        BootFixtures.parameters()
                                .initrd(MemorySegment.ofArray(new byte[5000]))
                                .build());
        assertThat(kernel.initrd()).contains(new GuestRange(BootFixtures.RAM - 8192, 5000));
    }

    @Test
    void refusesAnInitrdThatDoesNotFitAndWritesNothing() {
        GuestMemory memory = BootFixtures.memory();
        BootParameters parameters = BootFixtures.parameters()
                .initrd(MemorySegment.ofArray(new byte[(int) BootFixtures.RAM]))
                .build();
        assertThatThrownBy(() -> PvhImage.of(BootFixtures.pvhKernel().build()).load(memory, parameters))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("no room for the initrd of 67108864 bytes")
                .hasMessageContaining("give the guest more memory");
        assertThat(memory.readLong(0x10_0000)).isEqualTo(0xAAAA_AAAA_AAAA_AAAAL);
        assertThat(memory.readLong(GuestLayout.LOWEST)).isEqualTo(0xAAAA_AAAA_AAAA_AAAAL);
    }

    @ParameterizedTest
    @CsvSource({
        // offset, bytes, value, field (Elf64_Ehdr, then the first Elf64_Phdr at 64)
        "4, 1, 3, EI_CLASS",
        "5, 1, 2, EI_DATA",
        "6, 1, 0, EI_VERSION",
        "16, 2, 1, e_type",
        "18, 2, 183, e_machine",
        "54, 2, 32, e_phentsize",
        "56, 2, 0, e_phnum",
        "56, 2, 257, e_phnum",
        "32, 8, 9223372036854775807, e_phoff",
        "32, 8, -1, e_phoff",
        "72, 8, 4096, p_offset",
        "72, 8, -1, p_offset",
        "88, 8, -4096, p_paddr",
        "96, 8, -1, p_offset",
        "104, 8, 7, p_filesz",
        "104, 8, 9223372036854775807, p_paddr",
    })
    void namesTheFieldOfABrokenHeader(int offset, int width, long value, String field) {
        byte[] image = BootFixtures.pvhKernel().build();
        System.arraycopy(ElfBuilder.number(value, width), 0, image, offset, width);
        assertThatThrownBy(() -> KernelImage.of(image))
                .isInstanceOf(BadKernelException.class)
                .hasMessageContaining(field + " at offset 0x")
                .hasMessageContaining("; expected ");
    }

    @Test
    void refusesSegmentsThatOverlap() {
        byte[] image = ElfBuilder.elf64()
                .load(0, 0x10_0000, CODE, 0x1001)
                .load(0, 0x10_1000, CODE, 0x1000)
                .notes(4, BootFixtures.pvhNote())
                .build();
        assertThatThrownBy(() -> KernelImage.of(image))
                .hasMessage("ELF: p_paddr at offset 0x90 is 0x101000; expected an address outside segment"
                        + " 0x100000..0x101000");
    }

    @Test
    void refusesSegmentsOutsideRam() {
        byte[] image = ElfBuilder.elf64()
                .load(0, BootFixtures.RAM, CODE, 16)
                .notes(4, ElfBuilder.note(4, "Xen", 18, ElfBuilder.number(BootFixtures.RAM, 4)))
                .build();
        PvhImage kernel = PvhImage.of(image);
        assertThatThrownBy(() -> kernel.load(
                        BootFixtures.memory(), BootFixtures.parameters().build()))
                .isInstanceOf(BadKernelException.class)
                .hasMessageContaining("p_paddr at offset 0x58 is 0x4000000; expected an address with RAM");
    }

    @Test
    void refusesAnEntryOutsideTheSegments() {
        byte[] image = ElfBuilder.elf64()
                .load(0, 0x10_0000, CODE, 16)
                .notes(4, ElfBuilder.note(4, "Xen", 18, ElfBuilder.number(0x10_0010, 4)))
                .build();
        assertThatThrownBy(() -> KernelImage.of(image))
                .hasMessageContaining("XEN_ELFNOTE_PHYS32_ENTRY")
                .hasMessageContaining("an address inside a PT_LOAD segment");
    }

    @Test
    void refusesAnEntryOfAnotherWidthOrAboveFourGibibytes() {
        byte[] odd = ElfBuilder.elf64()
                .load(0, 0x10_0000, CODE, 16)
                .notes(4, ElfBuilder.note(4, "Xen", 18, new byte[6]))
                .build();
        assertThatThrownBy(() -> KernelImage.of(odd)).hasMessageContaining("6 bytes long; expected 4 or 8 bytes");
        byte[] high = ElfBuilder.elf64()
                .load(0, 1L << 32, CODE, 16)
                .notes(4, ElfBuilder.note(4, "Xen", 18, ElfBuilder.number(1L << 32, 8)))
                .build();
        assertThatThrownBy(() -> KernelImage.of(high)).hasMessageContaining("an address below 4 GiB");
    }

    @Test
    void refusesANoteThatPassesItsSegment() {
        byte[] note = BootFixtures.pvhNote();
        note[4] = 100;
        byte[] image =
                ElfBuilder.elf64().load(0, 0x10_0000, CODE, 16).notes(4, note).build();
        assertThatThrownBy(() -> KernelImage.of(image)).hasMessageContaining("n_descsz at offset");
    }

    @Test
    void saysWhatAnElfWithoutAnEntryLacks() {
        byte[] image = ElfBuilder.elf64().load(0, 0x10_0000, CODE, 16).build();
        assertThatThrownBy(() -> KernelImage.of(image))
                .hasMessageContaining("a note of type 18 (PHYS32_ENTRY) by \"Xen\", or a multiboot header");
        assertThatThrownBy(() -> PvhImage.of(image)).hasMessageContaining("CONFIG_PVH");
    }

    @Test
    void refusesAnElfWithNothingToLoad() {
        byte[] image = ElfBuilder.elf64().notes(4, BootFixtures.pvhNote()).build();
        assertThatThrownBy(() -> KernelImage.of(image)).hasMessageContaining("at least one to load");
    }
}
