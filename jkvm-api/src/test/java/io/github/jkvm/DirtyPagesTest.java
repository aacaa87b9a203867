package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class DirtyPagesTest {

    @Test
    void readsTheBitmapAsKvmWritesIt() {
        // KVM_GET_DIRTY_LOG, Documentation/virt/kvm/api.rst 4.8: "Bit 0 is the first page in the memory slot."
        DirtyPages pages = DirtyPages.ofBits(new long[] {0b101, 1L << 63});
        assertThat(pages.offsets()).containsExactly(0L, 2 * 4096L, 127 * 4096L);
        assertThat(pages.count()).isEqualTo(3);
        assertThat(pages.contains(4095)).isTrue();
        assertThat(pages.contains(4096)).isFalse();
        assertThat(pages.contains(Long.MAX_VALUE)).isFalse();
    }

    @Test
    void unitesTwoSets() {
        DirtyPages both = DirtyPages.ofBits(new long[] {1}).union(DirtyPages.ofBits(new long[] {2}));
        assertThat(both).isEqualTo(DirtyPages.ofBits(new long[] {3}));
    }

    @Test
    void refusesNegativeOffsets() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> DirtyPages.ofBits(new long[1]).contains(-1));
    }
}
