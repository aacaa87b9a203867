/** Boards: memory map, boot protocols, PCI bus and platform devices. */
module io.github.jkvm.machine {
    requires static org.jspecify;
    requires transitive io.github.jkvm;
    requires org.tukaani.xz;

    exports io.github.jkvm.machine;
    exports io.github.jkvm.machine.acpi;
    exports io.github.jkvm.machine.boot;
    exports io.github.jkvm.machine.device;
    exports io.github.jkvm.machine.linux;
    exports io.github.jkvm.machine.pci;
}
