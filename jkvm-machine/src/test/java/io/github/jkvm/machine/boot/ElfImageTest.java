package io.github.jkvm.machine.boot;

import static io.github.jkvm.machine.boot.BootFixtures.CODE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import org.junit.jupiter.api.Test;

class ElfImageTest {
    private final GuestMemory memory = BootFixtures.memory();

    @Test
    void enters64BitProgramsInLongModeWithAStackBelowThem() {
        byte[] file = ElfBuilder.elf64()
                .entry(0x10_0004)
                .load(0x10_0000, 0x10_0000, CODE, 0x1000)
                .build();

        LoadedKernel program =
                ElfImage.of(file).load(memory, BootFixtures.parameters().build());

        assertThat(program.format()).isEqualTo(KernelFormat.ELF);
        assertThat(program.mode()).isEqualTo(EntryMode.LONG64);
        assertThat(program.entry()).isEqualTo(GuestAddress.of(0x10_0004));
        assertThat(program.registers().rip()).isEqualTo(0x10_0004);
        assertThat(program.registers().rsp()).isEqualTo(0x10_0000 - 8);
        assertThat(memory.read(0x10_0000, CODE.length)).isEqualTo(CODE);
        assertThat(memory.read(0x10_0000 + CODE.length, 0x1000 - CODE.length)).containsOnly(0);
    }

    @Test
    void enters32BitProgramsInProtectedMode() {
        byte[] file = ElfBuilder.elf32()
                .entry(0x10_0000)
                .load(0x10_0000, 0x10_0000, CODE, 16)
                .build();

        LoadedKernel program =
                ElfImage.of(file).load(memory, BootFixtures.parameters().build());

        assertThat(program.mode()).isEqualTo(EntryMode.PROTECTED32);
        assertThat(program.registers().rsp()).isEqualTo(0x10_0000);
    }

    @Test
    void refusesAnEntryOutsideTheProgram() {
        byte[] file = ElfBuilder.elf64()
                .entry(0x20_0000)
                .load(0x10_0000, 0x10_0000, CODE, 16)
                .build();

        assertThatThrownBy(() -> ElfImage.of(file))
                .isInstanceOf(BadKernelException.class)
                .hasMessageContaining("e_entry")
                .hasMessageContaining("PT_LOAD");
    }

    @Test
    void refusesWhatItCannotPass() {
        byte[] file = ElfBuilder.elf64()
                .entry(0x10_0000)
                .load(0x10_0000, 0x10_0000, CODE, 16)
                .build();
        BootParameters parameters = BootFixtures.parameters()
                .commandLine(CommandLine.parse("quiet"))
                .build();

        assertThatThrownBy(() -> ElfImage.of(file).load(memory, parameters))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("command line");
    }

    @Test
    void knowsElfFilesByTheirFirstBytes() {
        assertThat(ElfImage.matches(ElfBuilder.elf64().load(0, 0, CODE, 16).build()))
                .isTrue();
        assertThat(ElfImage.matches(CODE)).isFalse();
        assertThat(ElfImage.matches(new byte[2])).isFalse();
    }
}
