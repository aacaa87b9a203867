package io.github.jkvm.machine.boot;

import static io.github.jkvm.machine.boot.BootFixtures.CODE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class FlatImageTest {
    private static final Segment NONE = Segment.realMode(0, Segment.TYPE_DATA);
    private static final SpecialRegisters RESET = new SpecialRegisters(
            NONE,
            NONE,
            NONE,
            NONE,
            NONE,
            NONE,
            NONE,
            NONE,
            new DescriptorTable(0, 0xFFFF),
            new DescriptorTable(0, 0x3FF),
            0x6000_0010,
            0,
            0,
            0,
            0,
            0,
            0xFEE0_0900L,
            List.of(0L, 0L, 0L, 0L));

    @Test
    void entersABootSectorAsABiosDoes() {
        GuestMemory memory = BootFixtures.memory();
        LoadedKernel kernel = FlatImage.of(CODE, GuestAddress.of(0x7C00), EntryMode.REAL16)
                .load(memory, BootFixtures.parameters().build());
        assertThat(memory.read(0x7C00, CODE.length)).isEqualTo(CODE);
        assertThat(kernel.registers().rip()).isEqualTo(0x7C00);
        assertThat(kernel.registers().rsp()).isEqualTo(0x7C00);
        SpecialRegisters special = kernel.specialRegisters(RESET);
        assertThat(special.cs()).isEqualTo(Segment.realMode(0, Segment.TYPE_CODE));
        assertThat(special.idt()).as("real mode keeps its vectors").isEqualTo(RESET.idt());
        assertThat(special.cr0() & SpecialRegisters.CR0_PE).isZero();
        assertThat(special.apicBase()).isEqualTo(RESET.apicBase());
    }

    @Test
    void entersRealModeCodeAboveTheFirstSegmentByItsOwnSegment() {
        LoadedKernel kernel = FlatImage.of(CODE, GuestAddress.of(0x12345), EntryMode.REAL16)
                .withEntry(GuestAddress.of(0x12347))
                .load(BootFixtures.memory(), BootFixtures.parameters().build());
        assertThat(kernel.entry()).isEqualTo(GuestAddress.of(0x12347));
        assertThat(kernel.registers().rip()).isEqualTo(7);
        assertThat(kernel.specialRegisters(RESET).cs().base()).isEqualTo(0x12340);
        assertThat(kernel.specialRegisters(RESET).ds().selector()).isEqualTo(0x1234);
    }

    @Test
    void entersProtectedModeWithFlatSegmentsThatTheTableHolds() {
        GuestMemory memory = BootFixtures.memory();
        LoadedKernel kernel = FlatImage.of(CODE, GuestAddress.of(0x10_0000), EntryMode.PROTECTED32)
                .load(memory, BootFixtures.parameters().build());
        SpecialRegisters special = kernel.specialRegisters(RESET);
        assertThat(special.cr0()).isEqualTo(SpecialRegisters.CR0_PE | SpecialRegisters.CR0_ET);
        assertThat(special.efer()).isZero();
        assertThat(special.cs()).isEqualTo(Segment.flat32(0x10, Segment.TYPE_CODE));
        // Intel SDM volume 3, figure 3-8: base 0, limit 0xfffff in pages, 32-bit, present, execute/read, accessed.
        assertThat(memory.readLong(special.gdt().base() + 0x10)).isEqualTo(0x00CF_9B00_0000_FFFFL);
        assertThat(memory.readLong(special.gdt().base() + 0x18)).isEqualTo(0x00CF_9300_0000_FFFFL);
        assertThat(special.gdt().limit()).isEqualTo(47);
    }

    @Test
    void entersLongModeWithTheFirstFourGibibytesMappedOneToOne() {
        GuestMemory memory = BootFixtures.memory();
        LoadedKernel kernel = FlatImage.of(CODE, GuestAddress.of(0x10_0000), EntryMode.LONG64)
                .load(memory, BootFixtures.parameters().build());
        SpecialRegisters special = kernel.specialRegisters(RESET);
        assertThat(special.cr0() & SpecialRegisters.CR0_PG).isNotZero();
        assertThat(special.cr4()).isEqualTo(SpecialRegisters.CR4_PAE);
        assertThat(special.efer()).isEqualTo(SpecialRegisters.EFER_LME | SpecialRegisters.EFER_LMA);
        assertThat(special.cs()).isEqualTo(Segment.code64(0x10));
        assertThat(memory.readLong(special.gdt().base() + 0x10)).isEqualTo(0x00AF_9B00_0000_FFFFL);
        for (long address : new long[] {0, 0x10_0000, 0x7FFF_FFFFL, 0xC000_0000L, 0xFEE0_0000L, 0xFFFF_FFFFL}) {
            assertThat(translate(memory, special.cr3(), address)).isEqualTo(address);
        }
        assertThat(memory.readLong(special.cr3() + 8) & 1)
                .as("nothing above 512 GiB")
                .isZero();
    }

    /** Walks the tables as the processor does (Intel SDM volume 3, 4.5.4). */
    private static long translate(GuestMemory memory, long cr3, long address) {
        long frame = 0x000F_FFFF_FFFF_F000L;
        long level4 = memory.readLong((cr3 & frame) + (address >>> 39 & 0x1FF) * 8);
        long level3 = memory.readLong((level4 & frame) + (address >>> 30 & 0x1FF) * 8);
        long level2 = memory.readLong((level3 & frame) + (address >>> 21 & 0x1FF) * 8);
        assertThat(level4 & level3 & level2 & 3).as("present and writable").isEqualTo(3);
        assertThat(level2 & 0x80).as("a 2 MiB page").isNotZero();
        return (level2 & 0x000F_FFFF_FFE0_0000L) + (address & 0x1F_FFFF);
    }

    @Test
    void keepsItsTablesOffAnImageInLowMemory() {
        GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, 0x20000));
        byte[] code = new byte[0x8000];
        Arrays.fill(code, (byte) 0x90);
        LoadedKernel kernel = FlatImage.of(code, GuestAddress.of(0x1000), EntryMode.LONG64)
                .load(memory, BootParameters.builder(MemoryMap.of(memory)).build());
        assertThat(memory.read(0x1000, code.length)).isEqualTo(code);
        assertThat(kernel.pageTables().orElseThrow().overlaps(kernel.kernel())).isFalse();
    }

    @Test
    void refusesPlacesThatTheModeDoesNotReach() {
        assertThatThrownBy(() -> FlatImage.of(CODE, GuestAddress.of(0xFFFFC), EntryMode.REAL16))
                .hasMessageContaining("0x100000");
        assertThatThrownBy(() -> FlatImage.of(CODE, GuestAddress.of(0xFFFF_FFFCL), EntryMode.LONG64))
                .hasMessageContaining("0x100000000");
        assertThatThrownBy(() -> FlatImage.of(CODE, GuestAddress.of(-8), EntryMode.LONG64))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> FlatImage.of(new byte[0], GuestAddress.of(0x1000), EntryMode.LONG64))
                .hasMessageContaining("must have a byte");
        FlatImage large = FlatImage.of(new byte[0x20000], GuestAddress.of(0x1000), EntryMode.REAL16);
        assertThatThrownBy(() -> large.withEntry(GuestAddress.of(0x10000))).hasMessageContaining("64 KiB");
        assertThatThrownBy(() -> large.withEntry(GuestAddress.of(0x21000))).hasMessageContaining("outside");
    }

    @Test
    void refusesWhatAFlatImageCannotBeTold() {
        FlatImage image = FlatImage.of(CODE, GuestAddress.of(0x1000), EntryMode.REAL16);
        BootParameters parameters = BootFixtures.parameters()
                .commandLine(CommandLine.empty().add("quiet"))
                .build();
        assertThatThrownBy(() -> image.load(BootFixtures.memory(), parameters))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("no way to learn of a command line");
    }

    @Test
    void refusesAMapThatPromisesMemoryThatIsNotThere() {
        FlatImage image = FlatImage.of(CODE, GuestAddress.of(0x1000), EntryMode.REAL16);
        GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, 0x10000));
        assertThatThrownBy(() -> image.load(memory, BootFixtures.parameters().build()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("is RAM, but the guest has memory only at");
    }

    @Test
    void refusesAnImageInAHole() {
        FlatImage image = FlatImage.of(CODE, GuestAddress.of(0xA0000), EntryMode.REAL16);
        assertThatThrownBy(() -> image.load(
                        BootFixtures.memory(), BootFixtures.parameters().build()))
                .hasMessageContaining("not all in RAM");
    }
}
