package io.github.jkvm.machine.acpi;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.PlatformSlot;
import io.github.jkvm.machine.device.Cmos;
import io.github.jkvm.machine.device.GenerationId;
import io.github.jkvm.machine.device.I8042;
import io.github.jkvm.machine.device.PvPanic;
import io.github.jkvm.machine.device.Serial16550;
import java.util.List;

/** What the devices of a PC board look like in ACPI. */
public final class PlatformAml {
    private PlatformAml() {}

    /**
     * Describes a serial port.
     *
     * @param port where it is
     * @return a device for {@code \_SB}
     */
    public static Aml serial(Serial16550.Port port) {
        return Aml.device(
                port.name(),
                Aml.name("_HID", Aml.eisaId("PNP0501")),
                Aml.name("_UID", Aml.integer(port.ordinal() + 1)),
                Aml.name(
                        "_CRS",
                        Aml.resources(AcpiResource.ports(port.base(), 8), AcpiResource.isaInterrupt(port.gsi()))));
    }

    /**
     * Describes the clock.
     *
     * @return a device for {@code \_SB}
     */
    public static Aml clock() {
        return Aml.device(
                "RTC",
                Aml.name("_HID", Aml.eisaId("PNP0B00")),
                Aml.name("_CRS", Aml.resources(AcpiResource.ports(Cmos.PORT, 2), AcpiResource.isaInterrupt(Cmos.GSI))));
    }

    /**
     * Describes the keyboard controller.
     *
     * @return a device for {@code \_SB}
     */
    public static Aml keyboard() {
        return Aml.device(
                "KBD",
                Aml.name("_HID", Aml.eisaId("PNP0303")),
                Aml.name(
                        "_CRS",
                        Aml.resources(
                                AcpiResource.ports(I8042.DATA_PORT, 1),
                                AcpiResource.ports(I8042.COMMAND_PORT, 1),
                                AcpiResource.isaInterrupt(I8042.GSI))));
    }

    /**
     * Describes a device by where it sits and what the guest knows it by.
     *
     * @param slot the place
     * @return a device for {@code \_SB}
     */
    public static Aml slot(PlatformSlot slot) {
        return Aml.device(
                String.format("S%03d", slot.index()),
                Aml.name("_HID", Aml.string(slot.hardwareId())),
                Aml.name("_UID", Aml.integer(slot.index())),
                Aml.name(
                        "_CRS",
                        Aml.resources(
                                AcpiResource.memory(slot.base().value(), slot.size()),
                                AcpiResource.interrupt(slot.gsi(), AcpiResource.Trigger.EDGE))));
    }

    /**
     * Describes the generation id, and the device whose interrupt tells of a change: a "generic event device" (ACPI 6.5, 5.6.9), since the board has no other
     * place for events.
     *
     * @param place where the number is
     * @return two devices for {@code \_SB}
     */
    public static List<Aml> generationId(GuestAddress place) {
        long address = place.value();
        return List.of(
                Aml.device(
                        "VGEN",
                        Aml.name("_HID", Aml.string("VMGENCTR")),
                        Aml.name("_CID", Aml.string("VM_Gen_Counter")),
                        Aml.name("_DDN", Aml.string("VM_Gen_Counter")),
                        Aml.name(
                                "ADDR",
                                Aml.list(Aml.integer(address & 0xFFFF_FFFFL), Aml.integer(address >>> Integer.SIZE)))),
                Aml.device(
                        "GED",
                        Aml.name("_HID", Aml.string("ACPI0013")),
                        Aml.name(
                                "_CRS",
                                Aml.resources(AcpiResource.interrupt(GenerationId.GSI, AcpiResource.Trigger.EDGE))),
                        // Only one interrupt comes here, so the argument, its number, is not looked at.
                        Aml.method("_EVT", 1, Aml.notify("\\_SB.VGEN", 0x80))));
    }

    /**
     * Describes the port that takes crash reports.
     *
     * @return a device for {@code \_SB}
     */
    public static Aml pvPanic() {
        return Aml.device(
                "PEVT",
                Aml.name("_HID", Aml.string("QEMU0001")),
                Aml.name("_CRS", Aml.resources(AcpiResource.ports(PvPanic.PORT, 1))));
    }
}
