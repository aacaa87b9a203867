/** Boards: memory map, boot protocols, PCI bus and platform devices. */
@SuppressWarnings("module") // the module that the qualified exports name is built later
module io.github.jkvm.machine {
    requires static org.jspecify;
    requires transitive io.github.jkvm;
    requires java.management;
    requires org.tukaani.xz;

    exports io.github.jkvm.machine;
    exports io.github.jkvm.machine.acpi;
    exports io.github.jkvm.machine.boot;
    exports io.github.jkvm.machine.boot.unpack to
            io.github.jkvm.sandbox;
    exports io.github.jkvm.machine.device;
    exports io.github.jkvm.machine.linux;
    exports io.github.jkvm.machine.pci;
    exports io.github.jkvm.machine.pool to
            io.github.jkvm.sandbox;
    exports io.github.jkvm.machine.state to
            io.github.jkvm.sandbox;
}
