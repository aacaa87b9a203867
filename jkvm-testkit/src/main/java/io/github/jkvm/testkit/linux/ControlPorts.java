package io.github.jkvm.testkit.linux;

import io.github.jkvm.virtio.console.ConsoleDevice;
import io.github.jkvm.virtio.console.ConsolePort;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** The console whose ports carry a machine's commands; the guest finds them by their names. */
final class ControlPorts {
    /** What the names of the ports begin with. */
    static final String NAME = "io.github.jkvm.testkit";

    private static final int REQUESTS = 0;
    private static final int DATA = 1;
    private static final int ERRORS = 2;

    private final ConsoleDevice device = ConsoleDevice.builder("linux-control")
            .data(NAME + ".requests")
            .data(NAME + ".data")
            .data(NAME + ".errors")
            .build();

    private final MarkedStream output = new MarkedStream();
    private final MarkedStream errors = new MarkedStream();

    ConsoleDevice device() {
        return device;
    }

    /** What the guest sends over the port for data. */
    MarkedStream output() {
        return output;
    }

    AgentLink link() {
        return AgentLink.overPorts(
                device.port(REQUESTS).outputStream(), device.port(DATA).outputStream(), output, errors);
    }

    /** Begins to read what the guest sends, until the device is closed. */
    void read() {
        read(device.port(DATA), output);
        read(device.port(ERRORS), errors);
    }

    private static void read(ConsolePort port, OutputStream target) {
        InputStream in = port.inputStream();
        Thread.ofPlatform().daemon().name("linux-" + port.id()).start(() -> {
            try {
                in.transferTo(target);
            } catch (IOException closed) {
                // The device has ended, and with it the machine, which says so itself.
            }
        });
    }
}
