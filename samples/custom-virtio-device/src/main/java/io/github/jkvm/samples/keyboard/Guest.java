package io.github.jkvm.samples.keyboard;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveOutputStream;
import org.apache.commons.compress.archivers.cpio.CpioConstants;

/** The guest's root: busybox, the drivers, and a script that shows the keys that are pressed. */
final class Guest {
    /** What the script prints before it reads keys. */
    static final String READY = "waiting for keys of";

    private static final Path BUSYBOX = Path.of("/bin/busybox");

    private static final String[] DRIVERS = {
        "drivers/virtio/virtio_ring.ko",
        "drivers/virtio/virtio.ko",
        "drivers/virtio/virtio_mmio.ko",
        "drivers/input/evdev.ko",
        "drivers/virtio/virtio_input.ko"
    };

    /**
     * A key pressed gives two records (struct input_event: time, type, code, value), and so does a key released. As numbers of 16 bits, type,
     * code and value are the 9th, 10th and 11th of a record.
     */
    private static final int RECORDS_OF_KEY = 4;

    private Guest() {}

    /** Returns the archive that the kernel unpacks. */
    static byte[] files(String version, int keys) throws IOException {
        var archive = new ByteArrayOutputStream();
        try (var out = new CpioArchiveOutputStream(archive)) {
            for (String folder : new String[] {"bin", "dev", "proc", "sys"}) {
                add(out, folder, CpioConstants.C_ISDIR | 0755, new byte[0]);
            }
            add(out, "bin/busybox", CpioConstants.C_ISREG | 0755, Files.readAllBytes(BUSYBOX));
            StringBuilder drivers = new StringBuilder();
            for (String driver : DRIVERS) {
                Path file = Path.of("/lib/modules", version, "kernel", driver);
                String name = file.getFileName().toString();
                add(out, name, CpioConstants.C_ISREG | 0644, Files.readAllBytes(file));
                drivers.append(name).append(' ');
            }
            byte[] init = script(drivers.toString(), keys * RECORDS_OF_KEY).getBytes(StandardCharsets.US_ASCII);
            add(out, "init", CpioConstants.C_ISREG | 0755, init);
        }
        return archive.toByteArray();
    }

    private static String script(String drivers, int records) {
        return """
                #!/bin/busybox sh
                /bin/busybox --install -s /bin
                mount -t proc proc /proc
                mount -t sysfs sysfs /sys
                mount -t devtmpfs dev /dev
                for driver in %s; do insmod /$driver || poweroff -f; done
                read -r name < /sys/class/input/event0/device/name
                exec 3< /dev/input/event0
                echo "%s $name"
                dd bs=24 count=%d <&3 2>/dev/null | od -An -v -tu2 -w24 |
                  awk '$9 == 1 { print "key " $10 ($11 ? " pressed" : " released") }'
                poweroff -f
                """.formatted(drivers, READY, records);
    }

    private static void add(CpioArchiveOutputStream out, String name, long mode, byte[] contents) throws IOException {
        var entry = new CpioArchiveEntry(CpioConstants.FORMAT_NEW, name, contents.length);
        entry.setMode(mode);
        out.putArchiveEntry(entry);
        out.write(contents);
        out.closeArchiveEntry();
    }
}
