package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.statistics.Statistics;

/** Loaders meet images that are almost right: they load them or refuse them, and never touch what is not theirs. */
class BootMutationTest {
    private static final long MIB = 1L << 20;
    private static final long RAM = 20 * MIB;
    private static final long GUARD = 64 << 10;
    private static final byte[][] IMAGES = {
        BootFixtures.pvhKernel().build(),
        ElfBuilder.elf32()
                .load(0xC010_0000L, 0x10_0000, BootFixtures.CODE, 16)
                .notes(8, ElfBuilder.note(8, "Xen", 18, ElfBuilder.number(BootFixtures.PVH_ENTRY, 4)))
                .build(),
        ElfBuilder.elf32()
                .entry(0x10_0020)
                .load(0x10_0000, 0x10_0000, BootFixtures.concat(BootFixtures.multibootHeader(3), new byte[64]), 100)
                .build(),
        BootFixtures.concat(
                BootFixtures.multibootHeader(3 | 1 << 16, 0x10_0000, 0x10_0000, 0, 0x11_0000, 0x10_0020), new byte[64]),
        new BzImageBuilder(Payloads.gzip(BootFixtures.pvhKernel().build())).build(),
    };
    private static final GuestMemory MEMORY = GuestMemory.of(
            MemoryRegion.onHeap(GuestAddress.ZERO, RAM), MemoryRegion.onHeap(GuestAddress.of(RAM), GUARD));
    private static final BootParameters PARAMETERS = BootParameters.builder(MemoryMap.pc(RAM))
            .commandLine(CommandLine.parse("console=ttyS0"))
            .initrd(MemorySegment.ofArray(new byte[10000]))
            .build();

    /** Four bytes of an image set to something. */
    record Mutation(int position, long value, int width) {}

    @Provide
    Arbitrary<List<Mutation>> mutations() {
        Arbitrary<Long> values = Arbitraries.oneOf(
                Arbitraries.longs(),
                Arbitraries.longs().between(-16, 16),
                Arbitraries.of(0xFFFF_FFFFL, 0x7FFF_FFFFL, 0x8000_0000L, RAM, RAM - 1, 1L << 52, 4096L, 0xA0000L));
        return Combinators.combine(
                        Arbitraries.integers().between(0, Integer.MAX_VALUE), values, Arbitraries.of(1, 2, 4, 8))
                .as(Mutation::new)
                .list()
                .ofMinSize(1)
                .ofMaxSize(4);
    }

    @Property(tries = 4000)
    void loadsOrRefusesMutatedImages(@ForAll("images") int index, @ForAll("mutations") List<Mutation> mutations) {
        byte[] image = IMAGES[index].clone();
        for (Mutation mutation : mutations) {
            int position = interesting(mutation.position(), image.length);
            byte[] value = ElfBuilder.number(mutation.value(), mutation.width());
            System.arraycopy(value, 0, image, position, Math.min(value.length, image.length - position));
        }
        check(image);
    }

    @Property(tries = 500)
    void loadsOrRefusesImagesThatAreCutOff(@ForAll("images") int index, @ForAll("lengths") int length) {
        check(Arrays.copyOf(IMAGES[index], length % (IMAGES[index].length + 1)));
    }

    @Provide
    Arbitrary<Integer> images() {
        return Arbitraries.integers().between(0, IMAGES.length - 1);
    }

    @Provide
    Arbitrary<Integer> lengths() {
        return Arbitraries.integers().between(0, Integer.MAX_VALUE);
    }

    /** Half of the mutations hit the headers: the first 256 bytes, or the 128 from the setup header on. */
    private static int interesting(int position, int length) {
        int area = position % 4;
        int at = position / 4;
        return switch (area) {
            case 0 -> at % Math.min(256, length);
            case 1 -> length > 0x270 ? 0x1F1 + at % 0x80 : at % length;
            default -> at % length;
        };
    }

    private static void check(byte[] image) {
        String outcome = "loaded";
        try {
            KernelImage parsed = KernelImage.of(image);
            load(parsed);
            if (parsed instanceof BzImage packed) {
                load(packed.unpack(MIB));
            }
        } catch (BadKernelException e) {
            assertThat(e.getMessage()).contains(" at offset 0x").contains("; expected ");
            outcome = "refused";
        } catch (IllegalArgumentException e) {
            assertThat(e.getMessage()).isNotBlank();
            outcome = "does not fit";
        }
        Statistics.label("outcome").collect(outcome);
        // Memory that the map does not call RAM: no loader may touch it.
        checkGuard(0x9FC00, 0xA0000 - 0x9FC00);
        checkGuard(0xA0000, 0x6_0000);
        checkGuard(RAM, GUARD);
    }

    private static void checkGuard(long start, long length) {
        MemorySegment zeros = MemorySegment.ofArray(new byte[(int) length]);
        assertThat(MEMORY.slice(start, length).mismatch(zeros))
                .as("first byte written at 0x%x", start)
                .isEqualTo(-1);
    }

    private static void load(KernelImage image) {
        LoadedKernel kernel = image.load(MEMORY, PARAMETERS);
        GuestRange initrd = kernel.initrd().orElseThrow();
        assertThat(initrd.overlaps(kernel.kernel())).isFalse();
        assertThat(kernel.info().orElseThrow().overlaps(kernel.kernel())).isFalse();
        assertThat(kernel.commandLine().orElseThrow().overlaps(kernel.kernel())).isFalse();
    }
}
