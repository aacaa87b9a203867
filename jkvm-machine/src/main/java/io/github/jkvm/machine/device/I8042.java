package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.InterruptLine;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The keyboard controller of a PC (IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller"), by which guests reset their machine, with a keyboard that no one types on.
 *
 * <p>The keyboard answers its commands at once, so a guest's driver finds it without running into time limits. There is no auxiliary
 * device (mouse).
 *
 * <p>Safe for use by many threads.
 */
public final class I8042 implements Device {
    /** Port of the data register. */
    public static final int DATA_PORT = 0x60;

    /** Port of the status and command register. */
    public static final int COMMAND_PORT = 0x64;

    /** The keyboard's interrupt. */
    public static final int GSI = 1;

    private static final int STATUS_OUTPUT_FULL = 0x01;
    private static final int STATUS_SYSTEM = 0x04;
    private static final int STATUS_COMMAND = 0x08;
    private static final int STATUS_UNLOCKED = 0x10;

    private static final int CONFIG_INTERRUPT = 0x01;
    private static final int CONFIG_SYSTEM = 0x04;
    private static final int CONFIG_KEYBOARD_OFF = 0x10;
    private static final int CONFIG_AUXILIARY_OFF = 0x20;
    private static final int CONFIG_TRANSLATE = 0x40;
    private static final int CONFIG_INITIAL = CONFIG_SYSTEM | CONFIG_AUXILIARY_OFF | CONFIG_TRANSLATE;

    private static final int NO_COMMAND = 0;
    private static final int READ_CONFIG = 0x20;
    private static final int WRITE_CONFIG = 0x60;
    private static final int AUXILIARY_OFF = 0xA7;
    private static final int AUXILIARY_ON = 0xA8;
    private static final int TEST_AUXILIARY = 0xA9;
    private static final int SELF_TEST = 0xAA;
    private static final int TEST_KEYBOARD = 0xAB;
    private static final int KEYBOARD_OFF = 0xAD;
    private static final int KEYBOARD_ON = 0xAE;
    private static final int READ_OUTPUT_PORT = 0xD0;
    private static final int WRITE_OUTPUT_PORT = 0xD1;
    private static final int WRITE_OUTPUT_BUFFER = 0xD2;
    private static final int WRITE_AUXILIARY_BUFFER = 0xD3;
    private static final int WRITE_AUXILIARY = 0xD4;
    private static final int PULSE_OUTPUT_PORT = 0xF0;

    private static final int SELF_TEST_PASSED = 0x55;
    private static final int KEYBOARD_TEST_PASSED = 0;
    private static final int CLOCK_LINE_STUCK_LOW = 1;
    /** Output port: bit 0 is the processor's reset line, active low; bit 1 is address line 20. */
    private static final int OUTPUT_PORT = 0x03;

    private static final int OUTPUT_PORT_RUN = 0x01;

    private static final int KEY_ACKNOWLEDGE = 0xFA;
    private static final int KEY_RESEND = 0xFE;
    private static final int KEY_TEST_PASSED = 0xAA;
    private static final int KEY_SET_LIGHTS = 0xED;
    private static final int KEY_ECHO = 0xEE;
    private static final int KEY_SCAN_CODES = 0xF0;
    private static final int KEY_IDENTIFY = 0xF2;
    private static final int KEY_RATE = 0xF3;
    private static final int KEY_FIRST_SIMPLE = 0xF4;
    private static final int KEY_LAST_SIMPLE = 0xF6;
    private static final int KEY_RESET = 0xFF;
    /** What an enhanced keyboard answers to "identify". */
    private static final int[] KEYBOARD_ID = {0xAB, 0x83};

    private static final int OUTPUT_SIZE = 16;

    private final Consumer<? super GuestRequest> listener;
    private final Object lock = new Object();
    private final ByteQueue output = new ByteQueue(OUTPUT_SIZE);

    private @Nullable InterruptLine line;
    private boolean asserted;
    private int config = CONFIG_INITIAL;
    private int command;
    private int keyCommand;
    private boolean lastWasCommand;

    /**
     * Creates the device.
     *
     * @param listener gets a {@link GuestRequest.Reset}, on the thread of the vCPU that asks
     */
    public I8042(Consumer<? super GuestRequest> listener) {
        this.listener = Objects.requireNonNull(listener, "listener");
    }

    @Override
    public String name() {
        return "i8042";
    }

    @Override
    public void attach(Bus bus) {
        // Port 0x61 between the two is the speaker's.
        bus.claimPorts(DATA_PORT, 1, new Data(), name());
        bus.claimPorts(COMMAND_PORT, 1, new Command(), name());
        line = bus.interruptLine(GSI);
    }

    private final class Data implements ByteRegisters {
        @Override
        public int readByte(int offset) {
            synchronized (lock) {
                if (output.isEmpty()) {
                    return 0;
                }
                int value = output.remove();
                // The line falls with each byte taken and rises again for the next: the guest takes it as an edge.
                setLine(false);
                updateLine();
                return value;
            }
        }

        @Override
        public void writeByte(int offset, int value) {
            boolean reset;
            synchronized (lock) {
                lastWasCommand = false;
                reset = writeData(value);
                updateLine();
            }
            if (reset) {
                listener.accept(new GuestRequest.Reset(name()));
            }
        }
    }

    private final class Command implements ByteRegisters {
        @Override
        public int readByte(int offset) {
            synchronized (lock) {
                return STATUS_UNLOCKED
                        | (config & CONFIG_SYSTEM) / CONFIG_SYSTEM * STATUS_SYSTEM
                        | (output.isEmpty() ? 0 : STATUS_OUTPUT_FULL)
                        | (lastWasCommand ? STATUS_COMMAND : 0);
            }
        }

        @Override
        public void writeByte(int offset, int value) {
            synchronized (lock) {
                lastWasCommand = true;
                writeCommand(value);
                updateLine();
            }
            // A pulse of the output port's bit 0, the reset line: 0xfe pulses that alone.
            if (value >= PULSE_OUTPUT_PORT && (value & OUTPUT_PORT_RUN) == 0) {
                listener.accept(new GuestRequest.Reset(name()));
            }
        }
    }

    private void writeCommand(int value) {
        command = NO_COMMAND;
        switch (value) {
            case READ_CONFIG -> put(config);
            case WRITE_CONFIG, WRITE_OUTPUT_PORT, WRITE_OUTPUT_BUFFER, WRITE_AUXILIARY_BUFFER, WRITE_AUXILIARY ->
                command = value;
            case AUXILIARY_OFF -> config |= CONFIG_AUXILIARY_OFF;
            case AUXILIARY_ON -> config &= ~CONFIG_AUXILIARY_OFF;
            case TEST_AUXILIARY -> put(CLOCK_LINE_STUCK_LOW);
            case SELF_TEST -> {
                output.clear();
                config = CONFIG_INITIAL;
                put(SELF_TEST_PASSED);
            }
            case TEST_KEYBOARD -> put(KEYBOARD_TEST_PASSED);
            case KEYBOARD_OFF -> config |= CONFIG_KEYBOARD_OFF;
            case KEYBOARD_ON -> config &= ~CONFIG_KEYBOARD_OFF;
            case READ_OUTPUT_PORT -> put(OUTPUT_PORT);
            default -> {
                // Other commands touch memory of the controller that nothing uses.
            }
        }
    }

    /** Returns whether the machine is to be reset. */
    private boolean writeData(int value) {
        int pending = command;
        command = NO_COMMAND;
        switch (pending) {
            case WRITE_CONFIG -> config = value;
            case WRITE_OUTPUT_PORT -> {
                return (value & OUTPUT_PORT_RUN) == 0;
            }
            case WRITE_OUTPUT_BUFFER -> put(value);
            case WRITE_AUXILIARY_BUFFER, WRITE_AUXILIARY -> {
                // For a device that is not there.
            }
            default -> writeKeyboard(value);
        }
        return false;
    }

    private void writeKeyboard(int value) {
        int pending = keyCommand;
        keyCommand = NO_COMMAND;
        if (pending != NO_COMMAND) {
            put(KEY_ACKNOWLEDGE);
            if (pending == KEY_SCAN_CODES && value == 0) {
                // Asked for the set in use: the second.
                put(2);
            }
        } else if (value == KEY_SET_LIGHTS || value == KEY_SCAN_CODES || value == KEY_RATE) {
            keyCommand = value;
            put(KEY_ACKNOWLEDGE);
        } else if (value == KEY_ECHO) {
            put(KEY_ECHO);
        } else if (value == KEY_IDENTIFY) {
            put(KEY_ACKNOWLEDGE);
            put(KEYBOARD_ID[0]);
            put(KEYBOARD_ID[1]);
        } else if (value >= KEY_FIRST_SIMPLE && value <= KEY_LAST_SIMPLE) {
            put(KEY_ACKNOWLEDGE);
        } else if (value == KEY_RESET) {
            put(KEY_ACKNOWLEDGE);
            put(KEY_TEST_PASSED);
        } else {
            put(KEY_RESEND);
        }
    }

    private void put(int value) {
        // A guest that never reads loses answers, as a real buffer does.
        if (!output.isFull()) {
            output.add(value);
        }
    }

    private void updateLine() {
        setLine((config & CONFIG_INTERRUPT) != 0 && !output.isEmpty());
    }

    private void setLine(boolean level) {
        InterruptLine now = line;
        if (now == null || level == asserted) {
            return;
        }
        asserted = level;
        if (level) {
            now.raise();
        } else {
            now.lower();
        }
    }

    @Override
    public void reset() {
        synchronized (lock) {
            config = CONFIG_INITIAL;
            command = NO_COMMAND;
            keyCommand = NO_COMMAND;
            lastWasCommand = false;
            output.clear();
            updateLine();
        }
    }

    @Override
    public void save(DeviceState state) {
        synchronized (lock) {
            state.putNumber("config", config);
            state.putNumber("command", command);
            state.putNumber("keyCommand", keyCommand);
            state.putNumber("lastWasCommand", lastWasCommand ? 1 : 0);
            state.putBytes("output", output.toArray());
        }
    }

    @Override
    public void restore(DeviceState state) {
        int newConfig = (int) state.number("config", 0, 0xFF);
        int newCommand = (int) state.number("command", 0, 0xFF);
        int newKeyCommand = (int) state.number("keyCommand", 0, 0xFF);
        boolean newLastWasCommand = state.number("lastWasCommand", 0, 1) == 1;
        byte[] newOutput = state.bytes("output", OUTPUT_SIZE);
        synchronized (lock) {
            config = newConfig;
            command = newCommand;
            keyCommand = newKeyCommand;
            lastWasCommand = newLastWasCommand;
            output.clear();
            output.add(newOutput, 0, newOutput.length);
            updateLine();
        }
    }

    @Override
    public void close() {}
}
