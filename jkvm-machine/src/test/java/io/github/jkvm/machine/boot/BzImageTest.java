package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.x86.Registers;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Clauses are those of Linux, Documentation/arch/x86/boot.rst, and zero-page.rst. */
class BzImageTest {
    private static final long MIB = 1L << 20;
    private static final long PREFERRED = 16 * MIB;

    private static BzImageBuilder builder() {
        return new BzImageBuilder(new byte[64]);
    }

    private static LoadedKernel load(BzImageBuilder image, GuestMemory memory, BootParameters parameters) {
        return KernelImage.of(image.build()).load(memory, parameters);
    }

    @Test
    void putsTheProtectedModeCodeWhereItPrefersToBe() {
        GuestMemory memory = BootFixtures.memory();
        byte[] file = builder().build();
        LoadedKernel kernel =
                KernelImage.of(file).load(memory, BootFixtures.parameters().build());
        byte[] code = Arrays.copyOfRange(file, BzImageBuilder.CODE_OFFSET, file.length);
        assertThat(memory.read(PREFERRED, code.length)).isEqualTo(code);
        assertThat(kernel.mode()).isEqualTo(EntryMode.LONG64);
        // "64-bit Boot Protocol": entry is the load address plus 0x200, RSI holds the base address of struct
        // boot_params.
        assertThat(kernel.entry()).isEqualTo(GuestAddress.of(PREFERRED + 0x200));
        assertThat(kernel.registers().rip()).isEqualTo(PREFERRED + 0x200);
        assertThat(kernel.registers().get(Registers.Name.RSI))
                .isEqualTo(kernel.info().orElseThrow().start());
        assertThat(kernel.kernel()).isEqualTo(new GuestRange(PREFERRED, MIB));
    }

    @Test
    void fillsTheZeroPage() {
        GuestMemory memory = BootFixtures.memory();
        BootParameters parameters = BootFixtures.parameters()
                .commandLine(CommandLine.parse("console=ttyS0"))
                .initrd(MemorySegment.ofArray(new byte[] {1, 2, 3}))
                .rsdp(GuestAddress.of(0xF0000))
                .build();
        byte[] file = builder().put8(0x211, 0xE1).put64(0x250, 0x1234).build();
        LoadedKernel kernel = KernelImage.of(file).load(memory, parameters);
        long page = kernel.info().orElseThrow().start();
        // "the setup header at offset 0x01f1 ... is copied; its end is at 0x0202 + the byte value at 0x0201".
        assertThat(memory.read(page + 0x1F1, 0x1F)).isEqualTo(Arrays.copyOfRange(file, 0x1F1, 0x210));
        assertThat(memory.readInt(page + 0x260)).as("init_size").isEqualTo((int) MIB);
        assertThat(memory.read(page + 0x26C, 0x2D0 - 0x26C))
                .as("behind the header")
                .containsOnly(0);
        assertThat(memory.read(page, 0x70)).as("screen_info").containsOnly(0);
        assertThat(memory.readByte(page + 0x1EF)).as("sentinel").isZero();
        assertThat(memory.readByte(page + 0x210)).as("type_of_loader").isEqualTo((byte) 0xFF);
        assertThat(memory.readByte(page + 0x211)).as("loadflags").isEqualTo((byte) 1);
        assertThat(memory.readInt(page + 0x214)).as("code32_start").isEqualTo((int) PREFERRED);
        assertThat(memory.readLong(page + 0x250)).as("setup_data").isZero();
        assertThat(BootFixtures.text(memory, memory.readInt(page + 0x228))).isEqualTo("console=ttyS0");
        assertThat(memory.readLong(page + 0x70)).as("acpi_rsdp_addr").isEqualTo(0xF0000);
        long initrd = memory.readInt(page + 0x218);
        assertThat(initrd).isEqualTo(kernel.initrd().orElseThrow().start());
        assertThat(memory.read(initrd, 3)).containsExactly(1, 2, 3);
        assertThat(memory.readInt(page + 0x21C)).isEqualTo(3);
        assertThat(memory.readInt(page + 0xC0)).as("ext_ramdisk_image").isZero();
        // struct boot_e820_entry: 20 bytes, packed.
        assertThat(memory.readByte(page + 0x1E8)).as("e820_entries").isEqualTo((byte) 4);
        assertThat(memory.readLong(page + 0x2D0)).isZero();
        assertThat(memory.readLong(page + 0x2D8)).isEqualTo(MemoryMap.CONVENTIONAL_END);
        assertThat(memory.readInt(page + 0x2E0)).isEqualTo(1);
        assertThat(memory.readLong(page + 0x2D0 + 3 * 20)).isEqualTo(MIB);
    }

    @Test
    void leavesTheRsdpOutForKernelsThatDoNotKnowTheField() {
        GuestMemory memory = BootFixtures.memory();
        LoadedKernel kernel = load(
                builder().put16(0x206, 0x20D),
                memory,
                BootFixtures.parameters().rsdp(GuestAddress.of(0xF0000)).build());
        assertThat(memory.readLong(kernel.info().orElseThrow().start() + 0x70)).isZero();
    }

    @Test
    void keepsTheInitrdBelowTheAddressThatTheKernelNames() {
        LoadedKernel kernel = load(
                builder().put32(0x22C, 0x1FF_FFFF),
                BootFixtures.memory(),
                BootFixtures.parameters()
                        .initrd(MemorySegment.ofArray(new byte[4097]))
                        .build());
        assertThat(kernel.initrd()).contains(new GuestRange(0x200_0000 - 8192, 4097));
    }

    @Test
    void keepsTheInitrdOffTheMemoryThatTheKernelUnpacksItselfTo() {
        // 16 MiB to 64 MiB - 4 KiB is the kernel's: 8 KiB of initrd fit only below it.
        LoadedKernel kernel = load(
                builder().put32(0x260, (int) (48 * MIB - 4096)),
                BootFixtures.memory(),
                BootFixtures.parameters()
                        .initrd(MemorySegment.ofArray(new byte[8192]))
                        .build());
        assertThat(kernel.initrd()).contains(new GuestRange(PREFERRED - 8192, 8192));
    }

    @Test
    void movesARelocatableKernelUpWhenItsPlaceIsNoRam() {
        MemoryMap map = MemoryMap.pc(BootFixtures.RAM).with(new GuestRange(PREFERRED, 4096), MemoryMap.Kind.RESERVED);
        LoadedKernel kernel = load(
                builder(), BootFixtures.memory(), BootParameters.builder(map).build());
        // kernel_alignment is 2 MiB.
        assertThat(kernel.kernel().start()).isEqualTo(PREFERRED + 2 * MIB);
    }

    @Test
    void refusesAPlaceThatIsNoRamForAKernelThatCannotMove() {
        MemoryMap map = MemoryMap.pc(BootFixtures.RAM).with(new GuestRange(PREFERRED, 4096), MemoryMap.Kind.RESERVED);
        assertThatThrownBy(() -> load(
                        builder().put8(0x234, 0),
                        BootFixtures.memory(),
                        BootParameters.builder(map).build()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("no RAM for a kernel of 1048576 bytes");
    }

    @Test
    void refusesAGuestThatIsTooSmall() {
        GuestMemory small = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, 16 * MIB));
        assertThatThrownBy(() -> load(
                        builder(),
                        small,
                        BootParameters.builder(MemoryMap.pc(16 * MIB)).build()))
                .hasMessageContaining("give the guest more memory");
    }

    @Test
    void refusesACommandLineLongerThanTheKernelTakes() {
        assertThatThrownBy(() -> load(
                        builder().put32(0x238, 10),
                        BootFixtures.memory(),
                        BootFixtures.parameters()
                                .commandLine(CommandLine.parse("elevenchars"))
                                .build()))
                .hasMessage("the command line has 11 characters; this kernel takes up to 10");
    }

    @Test
    void refusesModules() {
        BootParameters parameters = BootFixtures.parameters()
                .module(new BootParameters.Module(MemorySegment.ofArray(new byte[1]), CommandLine.empty()))
                .build();
        assertThatThrownBy(() -> load(builder(), BootFixtures.memory(), parameters))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("takes an initrd but no modules");
    }

    @ParameterizedTest
    @CsvSource({
        // offset, bytes, value, field
        "0x1F1, 1, 9, setup_sects",
        "0x1F4, 4, 0x10000000, syssize",
        "0x1F4, 4, 0x20, syssize",
        "0x201, 1, 0x61, jump",
        "0x201, 1, 0x8F, jump",
        "0x206, 2, 0x20B, version",
        "0x211, 1, 0, loadflags",
        "0x236, 2, 0xFFFE, xloadflags",
        "0x230, 4, 0, kernel_alignment",
        "0x230, 4, 0x300000, kernel_alignment",
        "0x230, 4, 0x800, kernel_alignment",
        "0x258, 8, 0, pref_address",
        "0x258, 8, 0x100000000, pref_address",
        "0x258, 8, -1, pref_address",
        "0x260, 4, 0x100, init_size",
    })
    void namesTheFieldOfABrokenHeader(String offset, int width, String value, String field) {
        byte[] file = builder().build();
        int at = Integer.decode(offset);
        System.arraycopy(ElfBuilder.number(Long.decode(value), width), 0, file, at, width);
        assertThatThrownBy(() -> KernelImage.of(file))
                .isInstanceOf(BadKernelException.class)
                .hasMessageStartingWith("bzImage: " + field + " at offset 0x")
                .hasMessageContaining("; expected ");
    }

    @Test
    void namesTheMarksThatAreMissing() {
        assertThatThrownBy(() -> BzImage.of(builder().put16(0x1FE, 0).build()))
                .hasMessage("bzImage: boot_flag at offset 0x1fe is 0x0; expected 0xaa55");
        assertThatThrownBy(() -> BzImage.of(builder().put32(0x202, 0).build()))
                .hasMessage("bzImage: header at offset 0x202 is 0x0; expected \"HdrS\"");
        assertThatThrownBy(() -> BzImage.of(new byte[0x200])).hasMessageContaining("boot_flag at offset 0x1fe is 0x0");
        assertThatThrownBy(() -> BzImage.of(Arrays.copyOf(builder().build(), 0x25E)))
                .isInstanceOf(BadKernelException.class);
    }

    @Test
    void takesFourSetupSectorsWhenTheHeaderSaysNone() {
        byte[] file = Arrays.copyOf(builder().put8(0x1F1, 0).put32(0x1F4, 64).build(), 5 * 512 + 1024);
        file[5 * 512] = 42;
        GuestMemory memory = BootFixtures.memory();
        KernelImage.of(file).load(memory, BootFixtures.parameters().build());
        assertThat(memory.readByte(PREFERRED)).isEqualTo((byte) 42);
    }
}
