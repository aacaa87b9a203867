package io.github.jkvm.virtio.console;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Says what ports a {@link ConsoleDevice} has. They get the numbers 0, 1 and so on, as they are added. */
public final class ConsoleBuilder {
    private static final int DEFAULT_BUFFER = 64 << 10;
    private static final int LEAST_BUFFER = 16;
    private static final int MOST_BUFFER = 8 << 20;

    record Spec(String name, PortKind kind) {}

    private final String name;
    private final List<Spec> ports = new ArrayList<>();
    private int maxPorts;
    private int bufferSize = DEFAULT_BUFFER;
    private @Nullable TerminalSize size;

    ConsoleBuilder(String name) {
        this.name = name;
    }

    /**
     * Adds a console.
     *
     * @return this
     * @throws IllegalStateException if there are {@value ConsoleDevice#MOST_PORTS} ports already
     */
    public ConsoleBuilder console() {
        return add(new Spec("", PortKind.CONSOLE));
    }

    /**
     * Adds a port for data.
     *
     * @param portName the name that the guest finds it by, at most {@value ConsoleDevice#MAX_NAME_BYTES} bytes of UTF-8; may be empty
     * @return this
     * @throws IllegalArgumentException if the name is too long
     * @throws IllegalStateException if there are {@value ConsoleDevice#MOST_PORTS} ports already
     */
    public ConsoleBuilder data(String portName) {
        checkName(portName);
        return add(new Spec(portName, PortKind.DATA));
    }

    private ConsoleBuilder add(Spec spec) {
        if (ports.size() == ConsoleDevice.MOST_PORTS) {
            throw new IllegalStateException("console " + name + " has " + ports.size() + " ports; that is the limit");
        }
        ports.add(spec);
        return this;
    }

    /**
     * Sets how many ports there may be at a time, for those added later. Otherwise as many as there are in the beginning.
     *
     * @param count how many, 1 to {@value ConsoleDevice#MOST_PORTS}
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public ConsoleBuilder maxPorts(int count) {
        if (count < 1 || count > ConsoleDevice.MOST_PORTS) {
            throw new IllegalArgumentException("maxPorts " + count + " must be from 1 to " + ConsoleDevice.MOST_PORTS);
        }
        maxPorts = count;
        return this;
    }

    /**
     * Sets how many bytes of a port wait in each direction, at most; 64 KiB if not set.
     *
     * @param bytes how many, 16 to 8 MiB
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public ConsoleBuilder bufferSize(int bytes) {
        if (bytes < LEAST_BUFFER || bytes > MOST_BUFFER) {
            throw new IllegalArgumentException(
                    "bufferSize " + bytes + " must be from " + LEAST_BUFFER + " to " + MOST_BUFFER + " bytes");
        }
        bufferSize = bytes;
        return this;
    }

    /**
     * Sets the first console's size in the beginning.
     *
     * @param columns characters in a line, 1 to 65535
     * @param rows lines, 1 to 65535
     * @return this
     * @throws IllegalArgumentException if either is out of range
     */
    public ConsoleBuilder size(int columns, int rows) {
        size = new TerminalSize(columns, rows);
        return this;
    }

    /**
     * Makes the device.
     *
     * @return a new device
     * @throws IllegalArgumentException if it has neither ports nor room for some, more ports than it may, or a size and no console first
     */
    public ConsoleDevice build() {
        if (maxPorts() == 0 || ports.size() > maxPorts()) {
            throw new IllegalArgumentException("console " + name + " has " + ports.size() + " ports and maxPorts "
                    + maxPorts() + "; add a port, or raise maxPorts");
        }
        if (size != null && !consoleFirst()) {
            throw new IllegalArgumentException("console " + name + " has a size, but its first port is no console");
        }
        return new ConsoleDevice(this);
    }

    static void checkName(String portName) {
        int length = portName.getBytes(StandardCharsets.UTF_8).length;
        if (length > ConsoleDevice.MAX_NAME_BYTES) {
            throw new IllegalArgumentException("port name '" + portName + "' has " + length + " bytes; the limit is "
                    + ConsoleDevice.MAX_NAME_BYTES);
        }
    }

    String name() {
        return name;
    }

    List<Spec> ports() {
        return List.copyOf(ports);
    }

    int maxPorts() {
        return maxPorts == 0 ? ports.size() : maxPorts;
    }

    int bufferSize() {
        return bufferSize;
    }

    @Nullable
    TerminalSize size() {
        return size;
    }

    boolean consoleFirst() {
        return !ports.isEmpty() && ports.getFirst().kind() == PortKind.CONSOLE;
    }

    /** Whether control queues are needed: not for one console that is all there is. */
    boolean multiport() {
        return maxPorts() > 1 || !consoleFirst();
    }
}
