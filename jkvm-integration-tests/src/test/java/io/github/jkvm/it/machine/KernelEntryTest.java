package io.github.jkvm.it.machine;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EBX;
import static io.github.jkvm.testkit.asm.Reg64.RAX;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static io.github.jkvm.testkit.asm.SegReg.DS;
import static io.github.jkvm.testkit.asm.SegReg.ES;
import static io.github.jkvm.testkit.asm.SegReg.SS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.boot.BootParameters;
import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.machine.boot.KernelImage;
import io.github.jkvm.machine.boot.MultibootImage;
import io.github.jkvm.machine.boot.PvhImage;
import io.github.jkvm.machine.device.DebugExit;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Guests that look at what their boot protocol promises, on a real processor. They lie at 1 MiB and end with exit code 5. */
@RequiresKvm
@Timeout(60)
class KernelEntryTest {
    private static final int LOAD = 0x10_0000;
    /** Where the guests leave what they saw. */
    private static final long RESULT = 0x10_3000;

    private static void exitWith5(Assembler code) {
        code.mov(DX, DebugExit.PORT).mov(AL, 5).out(DX, AL).hlt();
    }

    private static void run(
            KernelImage kernel, String commandLine, Consumer<GuestMemory> check, BootParameters.Module... modules)
            throws Exception {
        try (Hypervisor hypervisor = Hypervisor.open()) {
            MachineBuilder builder = Machine.builder(hypervisor)
                    .board(Board.MICRO)
                    .memory(2 << 20)
                    .kernel(kernel)
                    .commandLine(CommandLine.parse(commandLine));
            for (BootParameters.Module module : modules) {
                builder.module(module);
            }
            try (Machine machine = builder.build()) {
                machine.start();
                MachineExit exit = machine.awaitExit(Duration.ofSeconds(30));
                assertThat(exit.exitCode()).as(exit.toString()).hasValue(5);
                check.accept(machine.memory());
            }
        }
    }

    /** An image in the address form: where it is loaded and entered stands in its header. */
    private static byte[] multiboot(Consumer<Assembler> program) {
        byte[] code = Guests.assemble(Mode.BITS32, LOAD + 32, program);
        byte[] image = new byte[32 + code.length];
        int flags = 1 << 16;
        ByteBuffer.wrap(image)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(0x1BADB002)
                .putInt(flags)
                .putInt(-(0x1BADB002 + flags))
                .putInt(LOAD)
                .putInt(LOAD)
                .putInt(0)
                .putInt(0)
                .putInt(LOAD + 32)
                .put(code);
        return image;
    }

    @Test
    void multibootKernelFindsItsMagicNumberItsInformationAndWorkingSelectors() throws Exception {
        KernelImage kernel = KernelImage.of(multiboot(code -> {
            code.mov(mem(RESULT), EAX).mov(mem(RESULT + 4), EBX);
            code.mov(AX, 0x18).mov(DS, AX).mov(ES, AX).mov(SS, AX);
            Label reloaded = code.label("CS is loaded");
            code.jmpFar32(0x10, reloaded).bind(reloaded);
            code.mov(EAX, mem(EBX, 4)).mov(mem(RESULT + 8), EAX);
            exitWith5(code);
        }));
        assertThat(kernel).isInstanceOf(MultibootImage.class);
        run(kernel, "", memory -> {
            // Multiboot Specification 0.6.96, 3.2: EAX and EBX; 3.3: mem_lower in KiB at offset 4.
            assertThat(memory.readInt(RESULT)).isEqualTo(0x2BADB002);
            assertThat(memory.readInt(RESULT + 4)).isNotZero();
            assertThat(memory.readInt(RESULT + 8)).isEqualTo(639);
        });
    }

    @Test
    void multibootKernelReadsTheModulesItIsHanded() throws Exception {
        byte[] image = multiboot(code -> {
            code.mov(EAX, mem(EBX, 20)).mov(mem(RESULT), EAX);
            code.mov(EAX, mem(EBX, 24)).mov(EAX, mem(EAX)).mov(EAX, mem(EAX));
            code.mov(mem(RESULT + 4), EAX);
            exitWith5(code);
        });
        var module = new BootParameters.Module(
                MemorySegment.ofArray("data".getBytes(StandardCharsets.US_ASCII)), CommandLine.parse("first"));
        // Multiboot Specification 0.6.96, 3.3: mods_count at 20, mods_addr at 24; each module begins with mod_start.
        run(
                KernelImage.of(image),
                "",
                memory -> {
                    assertThat(memory.readInt(RESULT)).isEqualTo(1);
                    assertThat(memory.read(RESULT + 4, 4)).isEqualTo("data".getBytes(StandardCharsets.US_ASCII));
                },
                module);
    }

    @Test
    void pvhKernelFindsItsStartInfoAndCommandLine() throws Exception {
        byte[] code = Guests.assemble(Mode.BITS32, LOAD, a -> {
            a.mov(EAX, mem(EBX)).mov(mem(RESULT), EAX);
            a.mov(EAX, mem(EBX, 24)).mov(EAX, mem(EAX)).mov(mem(RESULT + 4), EAX);
            exitWith5(a);
        });
        KernelImage kernel = KernelImage.of(pvhElf(code));
        assertThat(kernel).isInstanceOf(PvhImage.class);
        run(kernel, "jkvm", memory -> {
            // struct hvm_start_info: the magic number at 0, the command line's address at 24.
            assertThat(memory.readInt(RESULT)).isEqualTo(0x336EC578);
            assertThat(memory.read(RESULT + 4, 4)).isEqualTo("jkvm".getBytes(StandardCharsets.US_ASCII));
        });
    }

    /** A 32-bit ELF file with one segment to load and the note that names its entry. */
    private static byte[] pvhElf(byte[] code) {
        int headers = 52 + 2 * 32;
        int noteSize = 12 + 4 + 4;
        byte[] file = new byte[headers + noteSize + code.length];
        ByteBuffer elf = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        elf.putInt(0x464C457F).put(new byte[] {1, 1, 1}).position(16);
        elf.putShort((short) 2)
                .putShort((short) 3)
                .putInt(1)
                .putInt(LOAD)
                .putInt(52)
                .putInt(0);
        elf.putInt(0).putShort((short) 52).putShort((short) 32).putShort((short) 2);
        elf.position(52);
        for (int part : new int[] {1, headers + noteSize, LOAD, LOAD, code.length, 0x4000, 7, 0x1000}) {
            elf.putInt(part);
        }
        for (int part : new int[] {4, headers, 0, 0, noteSize, noteSize, 4, 4}) {
            elf.putInt(part);
        }
        elf.putInt(4).putInt(4).putInt(18).put(new byte[] {'X', 'e', 'n', 0}).putInt(LOAD);
        elf.put(code);
        return file;
    }

    @Test
    void longModeGuestRunsWithPagingAStackAndWorkingSelectors() throws Exception {
        byte[] code = Guests.assemble(Mode.BITS64, LOAD, a -> {
            a.mov(RAX, 0x1122_3344_5566_7788L).mov(mem(RESULT), RAX);
            a.mov(AX, 0x18).mov(DS, AX).mov(SS, AX);
            Label reloaded = a.label("CS is loaded");
            a.push(0x10).lea(RAX, mem(reloaded)).push(RAX).retf64();
            a.bind(reloaded);
            exitWith5(a);
        });
        run(
                FlatImage.of(code, GuestAddress.of(LOAD), EntryMode.LONG64),
                "",
                memory -> assertThat(memory.readLong(RESULT)).isEqualTo(0x1122_3344_5566_7788L));
    }
}
