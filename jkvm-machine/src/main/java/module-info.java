/** Boards: memory map, boot protocols and platform devices. */
module io.github.jkvm.machine {
    requires static org.jspecify;
    requires transitive io.github.jkvm;

    exports io.github.jkvm.machine.boot;
}
