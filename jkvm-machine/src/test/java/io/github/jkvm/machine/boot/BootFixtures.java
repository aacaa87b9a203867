package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** What several tests of loaders start from. */
final class BootFixtures {
    static final long RAM = 64L << 20;
    static final byte[] CODE = {(byte) 0xFA, (byte) 0xF4, 1, 2, 3, 4, 5, 6};
    static final long PVH_ENTRY = 0x10_0004;

    private BootFixtures() {}

    /** Memory whose every byte is 0xAA, so that what is zeroed shows. */
    static GuestMemory memory() {
        GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, RAM));
        memory.fill(0, RAM, (byte) 0xAA);
        return memory;
    }

    static BootParameters.Builder parameters() {
        return BootParameters.builder(MemoryMap.pc(RAM));
    }

    static byte[] pvhNote() {
        return ElfBuilder.note(4, "Xen", 18, ElfBuilder.number(PVH_ENTRY, 8));
    }

    static ElfBuilder pvhKernel() {
        return ElfBuilder.elf64()
                .entry(PVH_ENTRY)
                .load(0xFFFF_FFFF_8010_0000L, 0x10_0000, CODE, 0x2000)
                .notes(4, ElfBuilder.note(4, "Linux", 18, new byte[4]), pvhNote());
    }

    static byte[] multibootHeader(int flags, int... addresses) {
        byte[] header = new byte[32];
        ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
        fields.putInt(0x1BADB002).putInt(flags).putInt(-(0x1BADB002 + flags));
        for (int address : addresses) {
            fields.putInt(address);
        }
        return header;
    }

    static byte[] concat(byte[]... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            all.writeBytes(part);
        }
        return all.toByteArray();
    }

    static String text(GuestMemory memory, long address) {
        StringBuilder text = new StringBuilder();
        for (long at = address; memory.readByte(at) != 0; at++) {
            text.append(new String(new byte[] {memory.readByte(at)}, StandardCharsets.US_ASCII));
        }
        return text.toString();
    }
}
