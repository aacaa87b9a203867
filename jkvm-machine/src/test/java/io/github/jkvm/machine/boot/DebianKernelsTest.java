package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.x86.Registers;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** The kernels that this machine's distribution installed: real headers, real payloads. */
class DebianKernelsTest {
    private static final long RAM = 256L << 20;
    private static final BootParameters PARAMETERS = BootParameters.builder(MemoryMap.pc(RAM))
            .commandLine(CommandLine.empty().add("console", "ttyS0"))
            .initrd(MemorySegment.ofArray(new byte[12345]))
            .build();

    @TestFactory
    Stream<DynamicTest> loadsInstalledKernelsByTheirHeader() throws IOException {
        return forEachKernel(file -> {
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
        return forEachKernel(file -> {
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

    private interface KernelCheck {
        void check(Path file) throws IOException;
    }

    private static Stream<DynamicTest> forEachKernel(KernelCheck check) throws IOException {
        List<Path> kernels = installed();
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
