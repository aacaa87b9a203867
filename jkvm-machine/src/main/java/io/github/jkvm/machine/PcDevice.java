package io.github.jkvm.machine;

/** A device of {@link Board#PC} that a guest may do without: see {@link MachineBuilder#without}. */
public enum PcDevice {
    /** The serial port COM1, and with it the machine's console. */
    SERIAL,
    /** The timer with the speaker (8254). */
    TIMER,
    /** The battery-backed clock. */
    CLOCK,
    /** The keyboard controller (8042). */
    KEYBOARD_CONTROLLER,
    /** The port by which a guest tells that it crashed. */
    CRASH_PORT,
    /** The port by which a guest ends its machine with an exit code. */
    EXIT_PORT,
    /** The PCI bus. */
    PCI,
    /** The number by which a guest finds out that it was restored from a snapshot. */
    GENERATION_ID
}
