package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.Registers;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A Linux kernel as distributions ship it (Linux, Documentation/arch/x86/boot.rst).
 *
 * <p>{@link #load} enters it by the 64-bit boot protocol; the guest then unpacks the kernel itself. {@link #unpack} unpacks it on the host
 * instead, into a {@link PvhImage} that starts at once. Immutable.
 */
public final class BzImage implements KernelImage {
    /** The 64-bit entry lies this far behind the start of the protected-mode code (boot.rst, "64-bit Boot Protocol"). */
    static final int ENTRY_64 = 0x200;

    /** The largest kernel that is unpacked, in bytes: 512 MiB. */
    public static final long MAX_UNPACKED_SIZE = 512L << 20;

    private static final int SIZE_TRAILER = 4;

    private final ImageReader image;
    private final SetupHeader header;

    private BzImage(ImageReader image, SetupHeader header) {
        this.image = image;
        this.header = header;
    }

    /**
     * Reads a bzImage.
     *
     * @param bytes the file; copied
     * @return the image
     * @throws BadKernelException if its setup header is malformed, or it has no 64-bit entry (boot protocol 2.12)
     */
    public static BzImage of(byte[] bytes) {
        return parse(new ImageReader(KernelFormat.BZIMAGE.toString(), MemorySegment.ofArray(bytes.clone())));
    }

    static boolean matches(ImageReader image) {
        return SetupHeader.matches(image);
    }

    static BzImage parse(ImageReader image) {
        return new BzImage(image, SetupHeader.parse(image));
    }

    /**
     * Unpacks the kernel, packed by gzip, LZMA, xz, LZ4 or zstd.
     *
     * @return the kernel
     * @throws BadKernelException if what is packed is malformed, larger than {@link #MAX_UNPACKED_SIZE}, packed by something else, or
     *     has no PVH entry
     */
    public PvhImage unpack() {
        return unpack(MAX_UNPACKED_SIZE);
    }

    PvhImage unpack(long maxSize) {
        long codeSize = header.codeSize();
        if (header.payloadLength() < SIZE_TRAILER
                || header.payloadLength() > codeSize
                || header.payloadOffset() > codeSize - header.payloadLength()) {
            throw image.bad(
                    "payload_length",
                    SetupHeader.PAYLOAD_LENGTH,
                    header.payloadLength(),
                    "from 4 to what the code has behind payload_offset: the code has 0x" + Long.toHexString(codeSize)
                            + " bytes, payload_offset is 0x" + Long.toHexString(header.payloadOffset()));
        }
        long offset = header.codeOffset() + header.payloadOffset();
        // Behind the packed data lies its unpacked size; gzip has it there by itself, for the others the kernel's build
        // adds it.
        long trailer = offset + header.payloadLength() - SIZE_TRAILER;
        long size = image.u32("payload size trailer", trailer);
        if (size == 0 || size > maxSize) {
            throw image.bad("payload size trailer", trailer, size, "from 1 to 0x" + Long.toHexString(maxSize));
        }
        byte[] kernel = unpack(offset, header.payloadLength(), (int) size);
        ImageReader unpacked = new ImageReader("kernel unpacked from bzImage", MemorySegment.ofArray(kernel));
        return PvhImage.parse(unpacked).orElseThrow(() -> PvhImage.noEntry(unpacked));
    }

    private byte[] unpack(long offset, long length, int size) {
        PayloadFormat packing = packing(offset);
        long packedLength = packing == PayloadFormat.GZIP ? length : length - SIZE_TRAILER;
        byte[] packed = image.slice("payload_offset", SetupHeader.PAYLOAD_OFFSET, offset, packedLength)
                .toArray(ValueLayout.JAVA_BYTE);
        try {
            return packing.unpack(packed, size);
        } catch (IOException | RuntimeException e) {
            throw image.bad(
                    "payload", offset, packing + " data that is broken (" + e.getMessage() + ")", "it whole", e);
        }
    }

    private PayloadFormat packing(long offset) {
        byte[] head = new byte[(int) Math.min(PayloadFormat.LONGEST_MAGIC, image.size() - offset)];
        for (int i = 0; i < head.length; i++) {
            head[i] = (byte) image.u8("payload", offset + i);
        }
        return Stream.of(PayloadFormat.values())
                .filter(candidate -> candidate.matches(head))
                .findFirst()
                .orElseThrow(() -> image.bad(
                        "payload",
                        offset,
                        HexFormat.ofDelimiter(" ").formatHex(head),
                        "the first bytes of one of " + Arrays.toString(PayloadFormat.values())));
    }

    @Override
    public KernelFormat format() {
        return KernelFormat.BZIMAGE;
    }

    @Override
    public LoadedKernel load(GuestMemory memory, BootParameters parameters) {
        if (!parameters.modules().isEmpty()) {
            throw new IllegalArgumentException("a bzImage takes an initrd but no modules; got "
                    + parameters.modules().size());
        }
        int length = parameters.commandLine().toString().length();
        if (length > header.commandLineSize()) {
            throw new IllegalArgumentException("the command line has " + length
                    + " characters; this kernel takes up to " + header.commandLineSize());
        }
        GuestLayout layout = new GuestLayout(memory, parameters.memoryMap());
        GuestRange kernel = place(layout);
        layout.take(kernel);
        BootTables tables = BootTables.plan(layout, EntryMode.LONG64);
        GuestRange zeroPage = layout.lowest("zero page", ZeroPage.SIZE, GuestLayout.PAGE);
        GuestRange commandLine = BootText.plan(layout, parameters.commandLine());
        Optional<GuestRange> initrd = parameters
                .initrd()
                .map(bytes -> layout.highest("initrd", bytes.byteSize(), GuestLayout.PAGE, header.initrdEnd()));

        memory.write(kernel.start(), image.slice("syssize", SetupHeader.START, header.codeOffset(), header.codeSize()));
        tables.write(memory);
        BootText.write(memory, commandLine, parameters.commandLine());
        initrd.ifPresent(
                range -> memory.write(range.start(), parameters.initrd().orElseThrow()));
        new ZeroPage(header, kernel, commandLine, initrd).write(memory, zeroPage.start(), parameters);
        long entry = kernel.start() + ENTRY_64;
        return new LoadedKernel(
                format(),
                EntryMode.LONG64,
                GuestAddress.of(entry),
                Registers.INITIAL.withRip(entry).with(Registers.Name.RSI, zeroPage.start()),
                kernel,
                Optional.of(zeroPage),
                Optional.of(commandLine),
                initrd,
                Optional.of(tables.register()),
                tables.pageTables());
    }

    /** Finds room for the kernel and the memory that it needs to unpack itself: where it prefers, or else above. */
    private GuestRange place(GuestLayout layout) {
        GuestRange preferred = new GuestRange(header.preferred(), header.initSize());
        if (preferred.end() <= GuestLayout.FOUR_GIB && layout.isRam(preferred)) {
            return preferred;
        }
        // A relocatable kernel that lies below its preferred address would move itself up to it: only higher places
        // help.
        Optional<GuestRange> other = header.relocatable()
                ? layout.lowestFrom(header.preferred(), header.initSize(), header.alignment(), GuestLayout.FOUR_GIB)
                : Optional.empty();
        return other.orElseThrow(() -> new IllegalArgumentException("no RAM for a kernel of " + header.initSize()
                + " bytes at " + preferred + (header.relocatable() ? " or above" : "")
                + " below 4 GiB; give the guest more memory"));
    }
}
