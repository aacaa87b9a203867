package io.github.jkvm.machine.acpi;

import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.pci.PciHost;
import io.github.jkvm.machine.pci.PciLayout;
import java.util.ArrayList;
import java.util.List;

/** What a PCI bus looks like in ACPI. */
public final class PciAml {
    private static final int DEVICES = 32;
    /** "High word: device number, low word: function number; 0xFFFF for all functions" (ACPI 6.5, 6.2.13). */
    private static final int ALL_FUNCTIONS = 0xFFFF;

    private PciAml() {}

    /**
     * Describes a host bridge, and the range of its configuration space, which has to be reserved by a device of its own (PCI Firmware
     * Specification 3.2, 4.1.2).
     *
     * @param layout where it is
     * @return devices for {@code \_SB}
     */
    public static List<Aml> host(PciLayout layout) {
        GuestRange configuration = layout.configuration();
        return List.of(
                Aml.device(
                        "PCI0",
                        Aml.name("_HID", Aml.eisaId("PNP0A08")),
                        Aml.name("_CID", Aml.eisaId("PNP0A03")),
                        Aml.name("_UID", Aml.integer(0)),
                        Aml.name("_SEG", Aml.integer(0)),
                        Aml.name("_BBN", Aml.integer(0)),
                        Aml.name("_CRS", Aml.resources(resources(layout))),
                        Aml.name("_PRT", Aml.list(pins(layout)))),
                Aml.device(
                        "PCIC",
                        Aml.name("_HID", Aml.eisaId("PNP0C02")),
                        Aml.name("_UID", Aml.integer(0)),
                        Aml.name(
                                "_CRS",
                                Aml.resources(AcpiResource.memory(configuration.start(), configuration.size())))));
    }

    private static AcpiResource[] resources(PciLayout layout) {
        List<AcpiResource> resources = new ArrayList<>();
        resources.add(AcpiResource.busNumbers(0, 0));
        resources.add(AcpiResource.ports(PciHost.PORT, PciHost.PORTS));
        for (GuestRange window : layout.windows()) {
            resources.add(AcpiResource.window(window.start(), window.size()));
        }
        return resources.toArray(AcpiResource[]::new);
    }

    /** ACPI 6.5, table 6.12: address, pin (0 is INTA#), no link device, global system interrupt. Device 0 is the bridge. */
    private static Aml[] pins(PciLayout layout) {
        List<Aml> pins = new ArrayList<>();
        for (int device = 1; device < DEVICES; device++) {
            pins.add(Aml.list(
                    Aml.integer((long) device << Short.SIZE | ALL_FUNCTIONS),
                    Aml.integer(0),
                    Aml.integer(0),
                    Aml.integer(layout.pinGsis().get(device % layout.pinGsis().size()))));
        }
        return pins.toArray(Aml[]::new);
    }
}
