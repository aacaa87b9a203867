package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.x86.Registers;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** The kernels that this machine's distribution installed: real headers, real payloads. */
class DebianKernelsTest {
    private static final long RAM = 256L << 20;
    private static final BootParameters PARAMETERS = BootParameters.builder(MemoryMap.pc(RAM))
            .commandLine(CommandLine.empty().add("console", "ttyS0"))
            .initrd(MemorySegment.ofArray(new byte[12345]))
            .build();

    @TestFactory
    Stream<DynamicTest> loadsInstalledKernelsByTheirHeader() throws IOException {
        return forEachKernel(installed(), file -> {
            GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, RAM));
            KernelImage image = KernelImage.read(file);
            LoadedKernel kernel = image.load(memory, PARAMETERS);
            assertThat(kernel.format()).isEqualTo(KernelFormat.BZIMAGE);
            // Debian's x86-64 kernels prefer 16 MiB; the 64-bit entry is 0x200 behind (boot.rst, "64-bit Boot
            // Protocol").
            assertThat(kernel.entry()).isEqualTo(GuestAddress.of(0x100_0200));
            assertThat(memory.read(kernel.entry().value(), 2)).isNotEqualTo(new byte[2]);
            assertThat(kernel.kernel().overlaps(kernel.initrd().orElseThrow())).isFalse();
        });
    }

    @TestFactory
    Stream<DynamicTest> unpacksInstalledKernelsToTheirPvhEntry() throws IOException {
        return forEachKernel(installed(), file -> {
            GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, RAM));
            PvhImage image = ((BzImage) KernelImage.read(file)).unpack();
            LoadedKernel kernel = image.load(memory, PARAMETERS);
            assertThat(kernel.mode()).isEqualTo(EntryMode.PROTECTED32);
            assertThat(kernel.kernel().contains(new GuestRange(kernel.entry().value(), 1)))
                    .isTrue();
            // pvh_start_xen begins with CLD (arch/x86/platform/pvh/head.S).
            assertThat(memory.readByte(kernel.entry().value())).isEqualTo((byte) 0xFC);
            assertThat(memory.readInt(kernel.registers().get(Registers.Name.RBX)))
                    .isEqualTo(0x336E_C578);
        });
    }

    @TestFactory
    Stream<DynamicTest> unpacksAnInstalledKernelHoweverItIsPacked(@TempDir Path folder) throws IOException {
        // One is enough, and packing takes seconds.
        return forEachKernel(installed().stream().limit(1).toList(), file -> {
            byte[] kernel = vmlinux(Files.readAllBytes(file));
            GuestMemory expected = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, RAM));
            PvhImage.of(kernel).load(expected, PARAMETERS);
            checkPacked(Payloads.gzip(kernel), expected);
            Path tool = Path.of("/usr/bin/zstd");
            assumeTrue(Files.isExecutable(tool), "no /usr/bin/zstd: apt-get install zstd to run the rest of this");
            Path unpacked = Files.write(folder.resolve(file.getFileName() + ".elf"), kernel);
            Path packed = folder.resolve(file.getFileName() + ".zst");
            // As the kernel's build does, but for the level, which takes half a minute: a window of 128 MiB, and no
            // size in
            // the frame.
            Process zstd = new ProcessBuilder(tool.toString(), "-q", "-3", "--long=27")
                    .redirectInput(unpacked.toFile())
                    .redirectOutput(packed.toFile())
                    .start();
            assertThat(zstd.waitFor()).isZero();
            checkPacked(Payloads.withSize(Files.readAllBytes(packed), kernel.length), expected);
        });
    }

    private static void checkPacked(byte[] payload, GuestMemory expected) {
        GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, RAM));
        BzImage.of(new BzImageBuilder(payload).build()).unpack().load(memory, PARAMETERS);
        assertThat(memory.slice(0, RAM).mismatch(expected.slice(0, RAM))).isEqualTo(-1);
    }

    /** Takes the packed kernel out of a bzImage by the fields of boot.rst: setup_sects, payload_offset, payload_length. */
    private static byte[] vmlinux(byte[] file) throws IOException {
        ByteBuffer fields = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        int start = (file[0x1F1] + 1) * 512 + fields.getInt(0x248);
        int end = start + fields.getInt(0x24C);
        byte[] packed = Arrays.copyOfRange(file, start, end - 4);
        PayloadFormat format = Stream.of(PayloadFormat.values())
                .filter(candidate -> candidate.matches(packed))
                .findFirst()
                .orElseThrow();
        return format.unpack(packed, fields.getInt(end - 4));
    }

    private interface KernelCheck {
        void check(Path file) throws IOException, InterruptedException;
    }

    private static Stream<DynamicTest> forEachKernel(List<Path> kernels, KernelCheck check) {
        if (kernels.isEmpty()) {
            return Stream.of(DynamicTest.dynamicTest(
                    "no kernel in /boot",
                    () -> abort("no readable /boot/vmlinuz-*: apt-get install linux-image-amd64 to run this")));
        }
        return kernels.stream()
                .map(file -> DynamicTest.dynamicTest(file.getFileName().toString(), () -> check.check(file)));
    }

    private static List<Path> installed() throws IOException {
        Path boot = Path.of("/boot");
        if (!Files.isDirectory(boot)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(boot)) {
            return files.filter(file -> file.getFileName().toString().startsWith("vmlinuz-"))
                    .filter(Files::isReadable)
                    .sorted()
                    .toList();
        }
    }
}
