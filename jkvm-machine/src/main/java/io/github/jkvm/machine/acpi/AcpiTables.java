package io.github.jkvm.machine.acpi;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.device.AcpiPm;
import io.github.jkvm.machine.device.Cmos;
import io.github.jkvm.machine.device.ResetControl;
import io.github.jkvm.machine.pci.PciLayout;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The ACPI tables of a PC board with a local APIC for each vCPU, one IOAPIC, two 8259s, and the fixed registers of {@link AcpiPm}.
 *
 * <p>They are RSDP, XSDT, FADT, FACS, MADT, DSDT and, with a PCI bus, MCFG, laid out one after another from the beginning of a range that the memory map does not
 * give to the guest. Section numbers are those of ACPI 6.5.
 */
public final class AcpiTables {
    /** Where the local APICs are. */
    public static final long LOCAL_APIC_ADDRESS = 0xFEE0_0000L;

    /** Where the IOAPIC is. */
    public static final long IOAPIC_ADDRESS = 0xFEC0_0000L;

    /** The IOAPIC's input at which the timer's interrupt, ISA interrupt 0, arrives. */
    public static final int TIMER_GSI = 2;

    private static final int HEADER_SIZE = 36;
    private static final int RSDP_SIZE = 36;
    private static final int RSDP_V1_SIZE = 20;
    private static final int FACS_SIZE = 64;
    private static final int FADT_SIZE = 276;
    private static final int MAX_XAPIC_ID = 254;

    private static final String OEM_ID = "JKVM  ";
    private static final String OEM_TABLE_ID = "JKVMPC  ";

    /** A device of the old PC that the FADT tells about. */
    public enum LegacyDevice {
        /** The keyboard controller. */
        I8042,
        /** The clock. */
        CMOS
    }

    private final GuestRange range;
    private final byte[] image;

    private AcpiTables(GuestRange range, byte[] image) {
        this.range = range;
        this.image = image;
    }

    /**
     * Makes the tables.
     *
     * @param space where they may lie: below 4 GiB, beginning at a multiple of 64
     * @param apicIds the local APIC id of each vCPU, in order
     * @param legacy which old devices there are
     * @param devices what goes into {@code \_SB}, besides what is always there
     * @return the tables
     * @throws IllegalArgumentException if there is no vCPU, or the space is not aligned or too small
     */
    public static AcpiTables of(GuestRange space, List<Integer> apicIds, Set<LegacyDevice> legacy, List<Aml> devices) {
        return of(space, apicIds, legacy, devices, null);
    }

    /**
     * Makes the tables of a board that may have a PCI bus.
     *
     * @param space where they may lie: below 4 GiB, beginning at a multiple of 64
     * @param apicIds the local APIC id of each vCPU, in order
     * @param legacy which old devices there are
     * @param devices what goes into {@code \_SB}, besides what is always there and the PCI bus
     * @param pci where the PCI bus is, or null if there is none
     * @return the tables
     * @throws IllegalArgumentException if there is no vCPU, or the space is not aligned or too small
     */
    public static AcpiTables of(
            GuestRange space,
            List<Integer> apicIds,
            Set<LegacyDevice> legacy,
            List<Aml> devices,
            @Nullable PciLayout pci) {
        if (apicIds.isEmpty() || space.start() % FACS_SIZE != 0 || space.end() > 1L << Integer.SIZE) {
            throw new IllegalArgumentException("ACPI tables for " + apicIds.size() + " vCPUs in " + space
                    + ": there must be one vCPU or more, and the space must begin at a multiple of " + FACS_SIZE
                    + " and end below 4 GiB");
        }
        var layout = new Layout(space);
        // The root comes first, where a guest that searches the firmware area finds it; it is filled in last.
        layout.append(new byte[RSDP_SIZE]);
        long facs = layout.append(facs());
        List<Aml> all = new ArrayList<>(devices);
        if (pci != null) {
            all.addAll(PciAml.host(pci));
        }
        long dsdt = layout.append(dsdt(all));
        long fadt = layout.append(fadt(facs, dsdt, legacy));
        long madt = layout.append(madt(apicIds));
        long xsdt = layout.append(
                pci == null ? xsdt(fadt, madt) : xsdt(fadt, madt, layout.append(mcfg(pci.configuration()))));
        return layout.finish(rsdp(xsdt));
    }

    /**
     * Returns where the root of the tables (RSDP) lies.
     *
     * @return its address
     */
    public GuestAddress rsdp() {
        return GuestAddress.of(range.start());
    }

    /**
     * Returns where the tables lie.
     *
     * @return the range they fill
     */
    public GuestRange range() {
        return range;
    }

    /**
     * Writes the tables.
     *
     * @param memory the guest's memory
     * @throws io.github.jkvm.GuestMemoryException if there is none at {@link #range()}
     */
    public void writeTo(GuestMemory memory) {
        memory.write(range.start(), image);
    }

    /** Tables one after another, each at a multiple of 64 as the FACS needs it. */
    private static final class Layout {
        private final GuestRange space;
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Layout(GuestRange space) {
            this.space = space;
        }

        long append(byte[] table) {
            while (out.size() % FACS_SIZE != 0) {
                out.write(0);
            }
            long address = space.start() + out.size();
            if (table.length > space.size() - out.size()) {
                throw new IllegalArgumentException("ACPI tables need more than the " + space.size() + " bytes of "
                        + space + "; use fewer vCPUs or devices");
            }
            out.writeBytes(table);
            return address;
        }

        AcpiTables finish(byte[] rsdp) {
            byte[] image = out.toByteArray();
            System.arraycopy(rsdp, 0, image, 0, rsdp.length);
            return new AcpiTables(new GuestRange(space.start(), image.length), image);
        }
    }

    /** 5.2.5.3, "Root System Description Pointer (RSDP) Structure". */
    private static byte[] rsdp(long xsdt) {
        byte[] table = new byte[RSDP_SIZE];
        putText(table, 0, "RSD PTR ");
        putText(table, 9, OEM_ID);
        table[15] = 2; // revision
        LittleEndian.put(table, 20, RSDP_SIZE, Integer.BYTES);
        LittleEndian.put(table, 24, xsdt, Long.BYTES);
        setChecksum(table, 8, RSDP_V1_SIZE);
        setChecksum(table, 32, RSDP_SIZE);
        return table;
    }

    /** 5.2.8, "Extended System Description Table (XSDT)". */
    private static byte[] xsdt(long... tables) {
        byte[] body = new byte[tables.length * Long.BYTES];
        for (int i = 0; i < tables.length; i++) {
            LittleEndian.put(body, i * Long.BYTES, tables[i], Long.BYTES);
        }
        return table("XSDT", 1, body);
    }

    /** 5.2.10, "Firmware ACPI Control Structure (FACS)": no header, no checksum. */
    private static byte[] facs() {
        byte[] table = new byte[FACS_SIZE];
        putText(table, 0, "FACS");
        LittleEndian.put(table, 4, FACS_SIZE, Integer.BYTES);
        table[32] = 2; // version
        return table;
    }

    /** 5.2.9, "Fixed ACPI Description Table (FADT)". */
    private static byte[] fadt(long facs, long dsdt, Set<LegacyDevice> legacy) {
        byte[] table = new byte[FADT_SIZE];
        LittleEndian.put(table, 36, facs, Integer.BYTES);
        LittleEndian.put(table, 40, dsdt, Integer.BYTES);
        LittleEndian.put(table, 46, AcpiPm.SCI, Short.BYTES);
        LittleEndian.put(table, 56, AcpiPm.EVENT_PORT, Integer.BYTES);
        LittleEndian.put(table, 64, AcpiPm.CONTROL_PORT, Integer.BYTES);
        LittleEndian.put(table, 76, AcpiPm.TIMER_PORT, Integer.BYTES);
        table[88] = AcpiPm.EVENT_LENGTH;
        table[89] = AcpiPm.CONTROL_LENGTH;
        table[91] = AcpiPm.TIMER_LENGTH;
        // Latencies above 100 and 1000 microseconds say that there are no C2 and C3 states.
        LittleEndian.put(table, 96, 101, Short.BYTES);
        LittleEndian.put(table, 98, 1001, Short.BYTES);
        table[108] = legacy.contains(LegacyDevice.CMOS) ? (byte) Cmos.CENTURY : 0;
        LittleEndian.put(table, 109, bootArchitecture(legacy), Short.BYTES);
        LittleEndian.put(table, 112, fixedFeatures(), Integer.BYTES);
        putPort(table, 116, ResetControl.PORT, 1);
        table[128] = ResetControl.RESET_VALUE;
        table[131] = 5; // minor version
        // The 32-bit FACS address is used, and the specification wants only one of the two.
        LittleEndian.put(table, 140, dsdt, Long.BYTES);
        putPort(table, 148, AcpiPm.EVENT_PORT, AcpiPm.EVENT_LENGTH);
        putPort(table, 172, AcpiPm.CONTROL_PORT, AcpiPm.CONTROL_LENGTH);
        putPort(table, 208, AcpiPm.TIMER_PORT, AcpiPm.TIMER_LENGTH);
        return withHeader(table, "FACP", 6);
    }

    /** Table 5.10, "Fixed ACPI Description Table Fixed Feature Flags". */
    private static int fixedFeatures() {
        int cachesCanBeFlushed = 1;
        int c1OnAllProcessors = 1 << 2;
        int noFixedSleepButton = 1 << 5;
        int noFixedClockWake = 1 << 6;
        int timerOf32Bits = 1 << 8;
        int resetRegister = 1 << 10;
        return cachesCanBeFlushed
                | c1OnAllProcessors
                | noFixedSleepButton
                | noFixedClockWake
                | timerOf32Bits
                | resetRegister;
    }

    /** Table 5.11, "IA-PC Boot Architecture Flags". */
    private static int bootArchitecture(Set<LegacyDevice> legacy) {
        int legacyDevices = 1;
        int keyboardController = legacy.contains(LegacyDevice.I8042) ? 1 << 1 : 0;
        int noVideo = 1 << 2;
        int noClock = legacy.contains(LegacyDevice.CMOS) ? 0 : 1 << 5;
        return legacyDevices | keyboardController | noVideo | noClock;
    }

    /** 5.2.12, "Multiple APIC Description Table (MADT)". */
    private static byte[] madt(List<Integer> apicIds) {
        var body = new ByteArrayOutputStream();
        LittleEndian.write(body, LOCAL_APIC_ADDRESS, Integer.BYTES);
        LittleEndian.write(body, 1, Integer.BYTES); // there are two 8259s as well
        for (int uid = 0; uid < apicIds.size(); uid++) {
            int id = apicIds.get(uid);
            if (id <= MAX_XAPIC_ID) {
                // 5.2.12.2, "Processor Local APIC Structure"
                body.writeBytes(new byte[] {0, 8, (byte) uid, (byte) id});
                LittleEndian.write(body, 1, Integer.BYTES); // enabled
            } else {
                // 5.2.12.12, "Processor Local x2APIC Structure"
                body.writeBytes(new byte[] {9, 16, 0, 0});
                LittleEndian.write(body, id, Integer.BYTES);
                LittleEndian.write(body, 1, Integer.BYTES); // enabled
                LittleEndian.write(body, uid, Integer.BYTES);
            }
        }
        // 5.2.12.3, "I/O APIC Structure"
        body.writeBytes(new byte[] {1, 12, 0, 0});
        LittleEndian.write(body, IOAPIC_ADDRESS, Integer.BYTES);
        LittleEndian.write(body, 0, Integer.BYTES); // its first input is GSI 0
        // Flags of table 5.26: 0 as the ISA bus has it; 0b1101 level-triggered, active high.
        interruptOverride(body, 0, TIMER_GSI, 0);
        interruptOverride(body, AcpiPm.SCI, AcpiPm.SCI, 0b1101);
        return table("APIC", 5, body.toByteArray());
    }

    /** PCI Firmware Specification 3.2, 4.1.2, "MCFG Table Description": the configuration space of bus 0 in memory. */
    private static byte[] mcfg(GuestRange configuration) {
        var body = new ByteArrayOutputStream();
        LittleEndian.write(body, 0, Long.BYTES);
        LittleEndian.write(body, configuration.start(), Long.BYTES);
        LittleEndian.write(body, 0, Short.BYTES); // segment group
        LittleEndian.write(body, 0, Byte.BYTES); // first bus
        LittleEndian.write(body, 0, Byte.BYTES); // last bus
        LittleEndian.write(body, 0, Integer.BYTES);
        return table("MCFG", 1, body.toByteArray());
    }

    /** 5.2.12.5, "Interrupt Source Override Structure". */
    private static void interruptOverride(ByteArrayOutputStream out, int isaInterrupt, int gsi, int flags) {
        out.writeBytes(new byte[] {2, 10, 0, (byte) isaInterrupt});
        LittleEndian.write(out, gsi, Integer.BYTES);
        LittleEndian.write(out, flags, Short.BYTES);
    }

    /** 5.2.11.1, "Differentiated System Description Table (DSDT)". */
    private static byte[] dsdt(List<Aml> devices) {
        var body = new ByteArrayOutputStream();
        // 5.8.1, "_PIC Method": the guest tells which interrupt controller it uses; nothing here depends on it.
        body.writeBytes(Aml.name("PICM", Aml.integer(0)).toBytes());
        body.writeBytes(
                Aml.method("_PIC", 1, Aml.store(Aml.argument(0), "PICM")).toBytes());
        // 7.4.2.6, "System \_S5 State": the sleep types for the two control blocks.
        body.writeBytes(Aml.name(
                        "_S5",
                        Aml.list(
                                Aml.integer(AcpiPm.SLEEP_TYPE_S5),
                                Aml.integer(AcpiPm.SLEEP_TYPE_S5),
                                Aml.integer(0),
                                Aml.integer(0)))
                .toBytes());
        body.writeBytes(Aml.scope("_SB", devices.toArray(Aml[]::new)).toBytes());
        return table("DSDT", 2, body.toByteArray());
    }

    /** Table 5.1, "Generic Address Structure (GAS)", for ports. */
    private static void putPort(byte[] table, int offset, int port, int length) {
        table[offset] = 1; // system I/O
        table[offset + 1] = (byte) (length * Byte.SIZE);
        // Access size: 1 byte, 2 word, 3 double word; an event block is accessed by its halves.
        table[offset + 3] =
                (byte) (length == 1 ? 1 : length == AcpiPm.TIMER_LENGTH && port == AcpiPm.TIMER_PORT ? 3 : 2);
        LittleEndian.put(table, offset + 4, port, Long.BYTES);
    }

    private static byte[] table(String signature, int revision, byte[] body) {
        byte[] table = new byte[HEADER_SIZE + body.length];
        System.arraycopy(body, 0, table, HEADER_SIZE, body.length);
        return withHeader(table, signature, revision);
    }

    /** 5.2.6, "System Description Table Header". */
    private static byte[] withHeader(byte[] table, String signature, int revision) {
        putText(table, 0, signature);
        LittleEndian.put(table, 4, table.length, Integer.BYTES);
        table[8] = (byte) revision;
        putText(table, 10, OEM_ID);
        putText(table, 16, OEM_TABLE_ID);
        LittleEndian.put(table, 24, 1, Integer.BYTES); // revision of the OEM's table
        putText(table, 28, "JKVM");
        LittleEndian.put(table, 32, 1, Integer.BYTES); // revision of the creator
        setChecksum(table, 9, table.length);
        return table;
    }

    /** Makes the first {@code length} bytes add up to 0. */
    private static void setChecksum(byte[] table, int offset, int length) {
        int sum = 0;
        for (int i = 0; i < length; i++) {
            sum += table[i];
        }
        table[offset] = (byte) -sum;
    }

    private static void putText(byte[] table, int offset, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(bytes, 0, table, offset, bytes.length);
    }
}
