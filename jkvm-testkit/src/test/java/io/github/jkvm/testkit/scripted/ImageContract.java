package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Images that the memory of guests begins as. */
public interface ImageContract extends HypervisorContract {

    @Test
    default void copiesBeginAsTheImageAndChangeApart() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                MemoryImage image = hypervisor.createMemoryImage(0x4000, "image");
                Vm vm = hypervisor.createVm();
                Vm other = hypervisor.createVm()) {
            assertThat(image.size()).isEqualTo(0x4000);
            assertThat(image.segment().byteSize()).isEqualTo(0x4000);
            image.segment().set(ValueLayout.JAVA_INT, 0x1004, 42);
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.copyOf(image, 0, 0x4000));
            other.addMemory(GuestAddress.of(0x10_0000), MemoryBacking.copyOf(image, 0x1000, 0x2000));
            assertThat(vm.memory().readInt(0x1004)).isEqualTo(42);
            assertThat(vm.memory().readInt(0x3FFC)).isZero();
            assertThat(other.memory().readInt(0x10_0004)).isEqualTo(42);

            vm.memory().writeInt(0x1004, 7);
            assertThat(other.memory().readInt(0x10_0004)).isEqualTo(42);
            assertThat(image.segment().get(ValueLayout.JAVA_INT, 0x1004)).isEqualTo(42);
        }
    }

    @Test
    default void aGuestStoresToItsCopyOnly() {
        try (var guest = start(PairedGuest.STORE_ELSEWHERE);
                MemoryImage image = guest.vm.hypervisor().createMemoryImage(0x1000, "image")) {
            image.segment().fill((byte) 1);
            guest.vm.addMemory(GuestAddress.of(PairedGuest.ELSEWHERE), MemoryBacking.copyOf(image, 0, 0x1000));
            assertThat(guest.report()).isEqualTo(0x42);
            assertThat(guest.vm.memory().readByte(PairedGuest.ELSEWHERE)).isEqualTo((byte) 0x42);
            assertThat(image.segment().get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 1);
        }
    }

    @Test
    default void layersLieOverTheBottom() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm();
                MemoryImage bottom = hypervisor.createMemoryImage(0x8000, "bottom");
                MemoryImage top = hypervisor.createMemoryImage(0x8000, "top")) {
            for (int page = 0; page < 8; page++) {
                bottom.segment().set(ValueLayout.JAVA_INT, page * 0x1000L, page);
                top.segment().set(ValueLayout.JAVA_INT, page * 0x1000L, 100 + page);
            }
            MemoryRegion region = vm.addMemory(
                    GuestAddress.ZERO,
                    MemoryBacking.layered(
                            MemoryBacking.copyOf(bottom, 0x1000, 0x6000),
                            List.of(
                                    new MemoryBacking.Layer(0x1000, new MemoryBacking.Copy(top, 0x2000, 0x2000)),
                                    new MemoryBacking.Layer(0x3000, new MemoryBacking.Copy(top, 0, 0x1000)))));
            assertThat(firstOfPages(region)).containsExactly(1, 102, 103, 100, 5, 6);
            vm.memory().writeInt(0x1000, 7);
            vm.memory().writeInt(0, 8);
            assertThat(firstOfPages(region)).containsExactly(8, 7, 103, 100, 5, 6);
            assertThat(top.segment().get(ValueLayout.JAVA_INT, 0x2000)).isEqualTo(102);
            assertThat(bottom.segment().get(ValueLayout.JAVA_INT, 0x1000)).isEqualTo(1);
        }
    }

    private static List<Integer> firstOfPages(MemoryRegion region) {
        return LongStream.range(0, region.size() / 0x1000)
                .mapToObj(page -> region.segment().get(ValueLayout.JAVA_INT, page * 0x1000))
                .toList();
    }

    @Test
    default void layersThatDontFitAreRefused() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                MemoryImage image = hypervisor.createMemoryImage(0x4000, "image")) {
            MemoryBacking bottom = MemoryBacking.copyOf(image, 0, 0x4000);
            var first = new MemoryBacking.Layer(0, new MemoryBacking.Copy(image, 0, 0x2000));
            var second = new MemoryBacking.Layer(0x1000, new MemoryBacking.Copy(image, 0, 0x1000));
            var past = new MemoryBacking.Layer(0x3000, new MemoryBacking.Copy(image, 0, 0x2000));
            assertThatThrownBy(() -> MemoryBacking.layered(bottom, List.of(first, second)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("give layers in order");
            assertThatThrownBy(() -> MemoryBacking.layered(bottom, List.of(past)))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> MemoryBacking.layered(MemoryBacking.anonymous(0x4000), List.of(first)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("not on Anonymous");
        }
    }

    @Test
    default void aFileIsAnImageWhateverBecomesOfItsName(@TempDir Path folder) throws Exception {
        byte[] bytes = new byte[0x2000];
        bytes[0x1004] = 42;
        Path file = Files.write(folder.resolve("image"), bytes);
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm();
                MemoryImage image = hypervisor.openMemoryImage(file)) {
            Files.delete(file);
            assertThat(image.size()).isEqualTo(0x2000);
            assertThat(image.segment().isReadOnly()).isTrue();
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.copyOf(image, 0x1000, 0x1000));
            vm.memory().writeByte(0, (byte) 1);
            assertThat(vm.memory().readByte(4)).isEqualTo((byte) 42);
            assertThat(image.segment().get(ValueLayout.JAVA_BYTE, 0x1000)).isZero();
            assertThatThrownBy(() -> hypervisor.openMemoryImage(file)).isInstanceOf(HypervisorException.class);
            Path odd = Files.write(folder.resolve("odd"), new byte[0x1001]);
            assertThatThrownBy(() -> hypervisor.openMemoryImage(odd))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("multiple of the page size");
        }
    }

    @Test
    default void copiesOutliveTheImage() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                Vm vm = hypervisor.createVm()) {
            MemorySegment gone;
            MemoryBacking backing;
            MemoryRegion region;
            try (MemoryImage image = hypervisor.createMemoryImage(0x1000, "image")) {
                gone = image.segment();
                gone.fill((byte) 9);
                backing = MemoryBacking.copyOf(image, 0, 0x1000);
                region = vm.addMemory(GuestAddress.ZERO, backing);
            }
            assertThat(region.segment().get(ValueLayout.JAVA_BYTE, 0xFFF)).isEqualTo((byte) 9);
            assertThatThrownBy(() -> gone.fill((byte) 0)).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.of(0x1000), backing))
                    .isInstanceOf(IllegalStateException.class);
            assertThat(vm.memory().regions()).containsExactly(region);
        }
    }

    @Test
    default void partsOutsideTheImageAreRefused() {
        try (Hypervisor hypervisor = open(PairedGuest.HALT);
                MemoryImage image = hypervisor.createMemoryImage(0x2000, "image")) {
            assertThatThrownBy(() -> MemoryBacking.copyOf(image, 0x1000, 0x2000))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("memory of 8192 bytes from offset 4096 is not inside the image, which has 8192 bytes");
            assertThatThrownBy(() -> MemoryBacking.copyOf(image, -4096, 0x1000))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> MemoryBacking.copyOf(image, Long.MAX_VALUE - 4095, 0x1000))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> hypervisor.createMemoryImage(0x1001, "odd"))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("4097");
            assertThatThrownBy(() -> hypervisor.createMemoryImage(0, "none"))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    default void aClosedHypervisorMakesNoImages() {
        Hypervisor hypervisor = open(PairedGuest.HALT);
        hypervisor.close();
        assertThatThrownBy(() -> hypervisor.createMemoryImage(0x1000, "late"))
                .isInstanceOf(IllegalStateException.class);
    }
}
