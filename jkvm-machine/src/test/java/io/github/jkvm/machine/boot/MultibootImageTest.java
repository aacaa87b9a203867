package io.github.jkvm.machine.boot;

import static io.github.jkvm.machine.boot.BootFixtures.CODE;
import static io.github.jkvm.machine.boot.BootFixtures.concat;
import static io.github.jkvm.machine.boot.BootFixtures.multibootHeader;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.Registers;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Clauses are those of the Multiboot Specification 0.6.96. */
class MultibootImageTest {
    private static final int ADDRESSES = 1 << 16;
    private static final int LOAD = 0x10_0000;
    /** The header lies 16 bytes into the file, and the load address is that of the eighth. */
    private static final int LEAD = 16;

    private static byte[] rawKernel(int header, int load, int loadEnd, int bssEnd, int entry) {
        return concat(new byte[LEAD], multibootHeader(ADDRESSES | 3, header, load, loadEnd, bssEnd, entry), CODE);
    }

    private static LoadedKernel load(byte[] image, GuestMemory memory) {
        return KernelImage.of(image).load(memory, BootFixtures.parameters().build());
    }

    @Test
    void loadsByTheAddressesOfTheHeader() {
        GuestMemory memory = BootFixtures.memory();
        byte[] image = rawKernel(LOAD + 8, LOAD, LOAD + 44, LOAD + 0x1000, LOAD + 40);
        LoadedKernel kernel = load(image, memory);
        assertThat(kernel.format()).isEqualTo(KernelFormat.MULTIBOOT);
        // 3.1.3: load_addr is where the text segment begins; the offset in the file is the header's minus (header_addr
        // - load_addr).
        assertThat(memory.read(LOAD, 44)).isEqualTo(Arrays.copyOfRange(image, 8, 52));
        assertThat(memory.read(LOAD + 44, 0x1000 - 44)).as("bss").containsOnly(0);
        assertThat(memory.readByte(LOAD + 0x1000)).isEqualTo((byte) 0xAA);
        assertThat(kernel.registers().rip()).isEqualTo(LOAD + 40);
        assertThat(kernel.kernel()).isEqualTo(new GuestRange(LOAD, 0x1000));
    }

    @Test
    void loadsTheWholeFileWhenNoEndIsGiven() {
        GuestMemory memory = BootFixtures.memory();
        byte[] image = rawKernel(LOAD + LEAD, LOAD, 0, 0, LOAD + LEAD + 32);
        LoadedKernel kernel = load(image, memory);
        assertThat(memory.read(LOAD, image.length)).isEqualTo(image);
        assertThat(kernel.kernel().size()).isEqualTo(image.length);
    }

    @Test
    void loadsAnElfAndTakesItsEntryBackToPhysical() {
        GuestMemory memory = BootFixtures.memory();
        byte[] code = concat(multibootHeader(3), CODE);
        byte[] image = ElfBuilder.elf32()
                .entry(0xC010_0020L)
                .load(0xC010_0000L, LOAD, code, 0x100)
                .build();
        LoadedKernel kernel = load(image, memory);
        assertThat(kernel.format()).isEqualTo(KernelFormat.MULTIBOOT);
        assertThat(kernel.entry()).isEqualTo(GuestAddress.of(LOAD + 0x20));
        assertThat(memory.read(LOAD, code.length)).isEqualTo(code);
    }

    @Test
    void handsOverTheInformationStructure() {
        GuestMemory memory = BootFixtures.memory();
        LoadedKernel kernel = KernelImage.of(rawKernel(LOAD + LEAD, LOAD, 0, 0, LOAD + LEAD + 32))
                .load(
                        memory,
                        BootFixtures.parameters()
                                .commandLine(CommandLine.parse("kernel verbose"))
                                .initrd(MemorySegment.ofArray(new byte[] {7, 8, 9}))
                                .module(new BootParameters.Module(
                                        MemorySegment.ofArray(new byte[5000]), CommandLine.parse("mod arg")))
                                .build());
        // 3.2: EAX holds the magic number, EBX the address of the information structure.
        assertThat(kernel.registers().get(Registers.Name.RAX)).isEqualTo(0x2BADB002L);
        long info = kernel.registers().get(Registers.Name.RBX);
        assertThat(memory.readInt(info)).as("flags: 0, 2, 3, 6, 9").isEqualTo(0b10_0100_1101);
        assertThat(memory.readInt(info + 4)).as("mem_lower in KiB").isEqualTo(639);
        assertThat(memory.readInt(info + 8)).as("mem_upper in KiB").isEqualTo(63 * 1024);
        assertThat(BootFixtures.text(memory, memory.readInt(info + 16))).isEqualTo("kernel verbose");
        assertThat(memory.readInt(info + 20)).as("mods_count").isEqualTo(2);
        long modules = memory.readInt(info + 24);
        assertThat(memory.read(memory.readInt(modules), 3)).containsExactly(7, 8, 9);
        assertThat(memory.readInt(modules + 4) - memory.readInt(modules)).isEqualTo(3);
        // 3.1.2, bit 0: modules on page boundaries.
        assertThat(memory.readInt(modules + 16) % 4096).isZero();
        assertThat(memory.readInt(modules + 20) - memory.readInt(modules + 16)).isEqualTo(5000);
        assertThat(BootFixtures.text(memory, memory.readInt(modules + 24))).isEqualTo("mod arg");
        // 3.3: size counts what follows it; the next entry is size + 4 behind.
        long map = memory.readInt(info + 48);
        assertThat(memory.readInt(info + 44)).isEqualTo(4 * 24);
        assertThat(memory.readInt(map)).isEqualTo(20);
        assertThat(memory.readLong(map + 4)).isZero();
        assertThat(memory.readLong(map + 12)).isEqualTo(MemoryMap.CONVENTIONAL_END);
        assertThat(memory.readInt(map + 20)).isEqualTo(1);
        assertThat(memory.readLong(map + 3 * 24 + 4)).isEqualTo(MemoryMap.HIGH_START);
        assertThat(BootFixtures.text(memory, memory.readInt(info + 64))).isEqualTo("jkvm");
    }

    @ParameterizedTest
    @ValueSource(ints = {1 << 2, 1 << 3, 1 << 15})
    void refusesMandatoryFlagsThatItCannotObey(int flag) {
        // 3.1.2: "if bits 0-15 are set and the boot loader cannot fulfill them, it must notify the user and fail".
        byte[] image = concat(multibootHeader(flag | ADDRESSES, LOAD, LOAD, 0, 0, LOAD), CODE);
        assertThatThrownBy(() -> KernelImage.of(image))
                .isInstanceOf(BadKernelException.class)
                .hasMessageContaining("flags at offset 0x4")
                .hasMessageContaining("0x" + Integer.toHexString(flag));
    }

    @Test
    void ignoresOptionalFlags() {
        byte[] image = concat(multibootHeader(ADDRESSES | 1 << 30, LOAD, LOAD, 0, 0, LOAD), CODE);
        assertThat(KernelImage.of(image)).isInstanceOf(MultibootImage.class);
    }

    @ParameterizedTest
    @CsvSource({
        // header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr, the field that is wrong
        "0x100008, 0x100010, 0, 0, 0x100010, load_addr",
        "0x100011, 0x100000, 0, 0, 0x100000, load_addr",
        "0x100010, 0x100000, 0x100010, 0, 0x100000, load_end_addr",
        "0x100010, 0x100000, 0x0fffff, 0, 0x100000, load_end_addr",
        "0x100010, 0x100000, 0x100039, 0, 0x100000, load_end_addr",
        "0x100010, 0x100000, 0x100038, 0x100037, 0x100000, bss_end_addr",
        "0x100010, 0x100000, 0x100038, 0, 0x100038, entry_addr",
        "0x100010, 0x100000, 0x100038, 0, 0x0fffff, entry_addr",
        "0xfffffff0, 0xffffffe0, 0, 0, 0xfffffff0, load_addr",
    })
    void namesTheAddressThatIsWrong(
            String header, String load, String loadEnd, String bssEnd, String entry, String field) {
        byte[] image = rawKernel(
                Long.decode(header).intValue(),
                Long.decode(load).intValue(),
                Long.decode(loadEnd).intValue(),
                Long.decode(bssEnd).intValue(),
                Long.decode(entry).intValue());
        assertThatThrownBy(() -> KernelImage.of(image))
                .isInstanceOf(BadKernelException.class)
                .hasMessageContaining("multiboot 1: " + field + " at offset 0x");
    }

    @Test
    void refusesAKernelInAHole() {
        byte[] image = rawKernel(0xA0000 + LEAD, 0xA0000, 0, 0, 0xA0000);
        assertThatThrownBy(() -> load(image, BootFixtures.memory()))
                .hasMessageContaining("load_addr at offset 0x20 is 0xa0000; expected an address with RAM");
    }

    @Test
    void ignoresAMagicNumberWithAWrongChecksumOrTooFarIn() {
        byte[] wrong = multibootHeader(3);
        wrong[8]++;
        byte[] far = concat(new byte[8192 - 8], multibootHeader(3));
        for (byte[] image : new byte[][] {wrong, far}) {
            assertThatThrownBy(() -> MultibootImage.of(image)).hasMessageContaining("first 8192 bytes");
        }
    }

    @Test
    void refusesAHeaderThatTheFileCutsOff() {
        byte[] image = Arrays.copyOf(multibootHeader(ADDRESSES, LOAD, LOAD, 0, 0, LOAD), 30);
        assertThatThrownBy(() -> KernelImage.of(image))
                .hasMessageContaining("entry_addr at offset 0x1c is cut off by the end of the image");
    }
}
