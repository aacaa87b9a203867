package io.github.jkvm.it.machine;

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
import io.github.jkvm.testkit.RequiresKvm;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HexFormat;
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

    private static final String EXIT_5 = "66ba0105" // mov dx, 501
            + "b005" // mov al, 5
            + "ee" // out dx, al
            + "f4"; // hlt

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

    private static byte[] code(String hex) {
        return HexFormat.of().parseHex(hex);
    }

    /** An image in the address form: where it is loaded and entered stands in its header. */
    private static byte[] multiboot(byte[] code) {
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
        byte[] code = code(
                "a300301000" // mov [103000], eax
                        + "891d04301000" // mov [103004], ebx
                        + "66b81800" // mov ax, 18
                        + "8ed88ec08ed0" // mov ds, ax; mov es, ax; mov ss, ax
                        + "ea3c0010001000" // jmp 10:10003c
                        + "8b4304" // mov eax, [ebx + 4]
                        + "a308301000" // mov [103008], eax
                        + EXIT_5);
        KernelImage kernel = KernelImage.of(multiboot(code));
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
        byte[] code = code(
                "8b4314" // mov eax, [ebx + 20]
                        + "a300301000" // mov [103000], eax
                        + "8b4318" // mov eax, [ebx + 24]
                        + "8b00" // mov eax, [eax]
                        + "8b00" // mov eax, [eax]
                        + "a304301000" // mov [103004], eax
                        + EXIT_5);
        var module = new BootParameters.Module(
                MemorySegment.ofArray("data".getBytes(StandardCharsets.US_ASCII)), CommandLine.parse("first"));
        // Multiboot Specification 0.6.96, 3.3: mods_count at 20, mods_addr at 24; each module begins with mod_start.
        run(
                KernelImage.of(multiboot(code)),
                "",
                memory -> {
                    assertThat(memory.readInt(RESULT)).isEqualTo(1);
                    assertThat(memory.read(RESULT + 4, 4)).isEqualTo("data".getBytes(StandardCharsets.US_ASCII));
                },
                module);
    }

    @Test
    void pvhKernelFindsItsStartInfoAndCommandLine() throws Exception {
        byte[] code = code(
                "8b03" // mov eax, [ebx]
                        + "a300301000" // mov [103000], eax
                        + "8b4318" // mov eax, [ebx + 24]
                        + "8b00" // mov eax, [eax]
                        + "a304301000" // mov [103004], eax
                        + EXIT_5);
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
        byte[] code = code(
                "48b88877665544332211" // mov rax, 1122334455667788
                        + "48a30030100000000000" // mov [103000], rax
                        + "66b81800" // mov ax, 18
                        + "8ed88ed0" // mov ds, ax; mov ss, ax
                        + "6a10" // push 10
                        + "488d0503000000" // lea rax, [rip + 3]
                        + "50" // push rax
                        + "48cb" // retfq
                        + EXIT_5);
        run(
                FlatImage.of(code, GuestAddress.of(LOAD), EntryMode.LONG64),
                "",
                memory -> assertThat(memory.readLong(RESULT)).isEqualTo(0x1122_3344_5566_7788L));
    }
}
