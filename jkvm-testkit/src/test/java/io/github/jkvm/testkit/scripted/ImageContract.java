package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

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
