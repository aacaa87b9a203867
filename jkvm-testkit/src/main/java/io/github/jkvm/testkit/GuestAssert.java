package io.github.jkvm.testkit;

import io.github.jkvm.GuestMemoryException;
import io.github.jkvm.testkit.internal.Durations;
import io.github.jkvm.x86.Registers;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Pattern;
import org.assertj.core.api.AbstractAssert;

/**
 * Assertions on a {@link MicroGuest}. Those with a verb run it: {@link #halts()}, {@link #prints}; those that begin with {@code has} look at
 * what it has done. A failure tells what was expected, what was there, and the guest's {@linkplain MicroGuest#report() report}.
 */
public final class GuestAssert extends AbstractAssert<GuestAssert, MicroGuest> {

    GuestAssert(MicroGuest guest) {
        super(guest, GuestAssert.class);
    }

    /**
     * Runs the guest, which executes a halt instruction before its deadline.
     *
     * @return this
     */
    public GuestAssert halts() {
        return haltsWithin(guest().deadline());
    }

    /**
     * Runs the guest, which executes a halt instruction in time.
     *
     * @param limit the longest time
     * @return this
     */
    public GuestAssert haltsWithin(Duration limit) {
        return stops("to halt", limit, GuestStop.Halted.class);
    }

    /**
     * Runs the guest, which asks to be ended with status 0 before its deadline.
     *
     * @return this
     */
    public GuestAssert powersOff() {
        return powersOffWith(0);
    }

    /**
     * Runs the guest, which asks to be ended before its deadline.
     *
     * @param status what it writes to {@link MicroGuest#EXIT_PORT}
     * @return this
     */
    public GuestAssert powersOffWith(int status) {
        String wanted = "to power off with status " + status;
        GuestStop stop = guest().run(guest().deadline());
        if (!(stop instanceof GuestStop.PoweredOff(int actually)) || actually != status) {
            throw notAs(wanted, guest().deadline(), stop);
        }
        return this;
    }

    /**
     * Runs the guest, which reports a number before its deadline and before it stops otherwise. It can be run on, to its next report.
     *
     * @param value what it writes to {@link MicroGuest#REPORT_PORT}
     * @return this
     */
    public GuestAssert reports(int value) {
        GuestStop stop = guest().run(guest().deadline());
        if (!stop.equals(new GuestStop.Reported(value))) {
            throw notAs("to report 0x" + Integer.toHexString(value), guest().deadline(), stop);
        }
        return this;
    }

    /**
     * Runs the guest, whose processor gives up before its deadline.
     *
     * @return this
     */
    public GuestAssert tripleFaults() {
        return stops("to triple fault", guest().deadline(), GuestStop.TripleFaulted.class);
    }

    /**
     * Runs the guest, which touches an address where there is neither memory nor a device before its deadline.
     *
     * @param address the guest-physical address
     * @return this
     */
    public GuestAssert touchesNothingAt(long address) {
        GuestStop stop = guest().run(guest().deadline());
        if (!(stop instanceof GuestStop.TouchedNothing(GuestExit access)) || access.address() != address) {
            throw notAs("to touch 0x" + Long.toHexString(address) + ", where nothing is", guest().deadline(), stop);
        }
        return this;
    }

    /**
     * Runs the guest, which prints a text to the debug port before its deadline and before it stops otherwise. What it has printed before does
     * not count. The guest stays where the last byte was printed, and can be run on.
     *
     * @param text the text
     * @return this
     */
    public GuestAssert prints(String text) {
        return prints(Port.DEBUG, text);
    }

    /**
     * Runs the guest, which prints a text before its deadline, as {@link #prints(String)} says.
     *
     * @param port where
     * @param text the text
     * @return this
     */
    public GuestAssert prints(Port port, String text) {
        Duration limit = guest().deadline();
        GuestStop stop = guest().runUntilPrinted(port, text, limit);
        if (!(stop instanceof GuestStop.Printed)) {
            throw notAs("to print \"" + text + "\" on the " + port.title(), limit, stop);
        }
        return this;
    }

    private GuestAssert stops(String wanted, Duration limit, Class<? extends GuestStop> kind) {
        GuestStop stop = guest().run(limit);
        if (!kind.isInstance(stop)) {
            throw notAs(wanted, limit, stop);
        }
        return this;
    }

    private AssertionError notAs(String wanted, Duration limit, GuestStop stop) {
        return failed("Expected the guest " + wanted + " within " + Durations.text(limit) + ", but it stopped "
                + GuestReport.describe(stop));
    }

    /**
     * Checks what the guest has printed to the debug port.
     *
     * @param text what is in it
     * @return this
     */
    public GuestAssert hasPrinted(String text) {
        return hasPrinted(Port.DEBUG, text);
    }

    /**
     * Checks what the guest has printed.
     *
     * @param port where
     * @param text what is in it
     * @return this
     */
    public GuestAssert hasPrinted(Port port, String text) {
        if (!guest().text(port).contains(text)) {
            throw failed("Expected the guest to have printed \"" + text + "\" on the " + port.title());
        }
        return this;
    }

    /**
     * Checks what the guest has printed to the debug port.
     *
     * @param pattern what is found in it
     * @return this
     */
    public GuestAssert hasPrinted(Pattern pattern) {
        return hasPrinted(Port.DEBUG, pattern);
    }

    /**
     * Checks what the guest has printed.
     *
     * @param port where
     * @param pattern what is found in it
     * @return this
     */
    public GuestAssert hasPrinted(Port port, Pattern pattern) {
        if (!pattern.matcher(guest().text(port)).find()) {
            throw failed("Expected the guest to have printed what matches \"" + pattern + "\" on the " + port.title());
        }
        return this;
    }

    /**
     * Checks a register.
     *
     * @param name which
     * @param value all of its 64 bits
     * @return this
     */
    public GuestAssert hasRegister(Registers.Name name, long value) {
        long actually = guest().registers().get(name);
        if (actually != value) {
            throw failed("Expected " + name + " to hold 0x" + Long.toHexString(value) + ", but it holds 0x"
                    + Long.toHexString(actually));
        }
        return this;
    }

    /**
     * Checks memory.
     *
     * @param address guest-physical address of the first byte
     * @param bytes what is there
     * @return this
     */
    public GuestAssert hasMemory(long address, byte... bytes) {
        byte[] actually = memory(address, bytes.length);
        int mismatch = Arrays.mismatch(bytes, actually);
        if (mismatch >= 0) {
            HexFormat hex = HexFormat.ofDelimiter(" ");
            throw failed("Expected memory at 0x" + Long.toHexString(address) + " to be " + hex.formatHex(bytes)
                    + ", but from byte " + mismatch + " on it differs: " + hex.formatHex(actually));
        }
        return this;
    }

    /**
     * Checks four bytes of memory.
     *
     * @param address guest-physical address of the first
     * @param value what they are, little-endian
     * @return this
     */
    public GuestAssert hasInt(long address, int value) {
        memory(address, Integer.BYTES);
        int actually = guest().memory().readInt(address);
        if (actually != value) {
            throw failed("Expected the int at 0x" + Long.toHexString(address) + " to be 0x" + Integer.toHexString(value)
                    + ", but it is 0x" + Integer.toHexString(actually));
        }
        return this;
    }

    /**
     * Checks eight bytes of memory.
     *
     * @param address guest-physical address of the first
     * @param value what they are, little-endian
     * @return this
     */
    public GuestAssert hasLong(long address, long value) {
        memory(address, Long.BYTES);
        long actually = guest().memory().readLong(address);
        if (actually != value) {
            throw failed("Expected the long at 0x" + Long.toHexString(address) + " to be 0x" + Long.toHexString(value)
                    + ", but it is 0x" + Long.toHexString(actually));
        }
        return this;
    }

    private byte[] memory(long address, int length) {
        try {
            return guest().memory().read(address, length);
        } catch (GuestMemoryException e) {
            throw failed("Expected memory at 0x" + Long.toHexString(address) + ", but " + e.getMessage());
        }
    }

    /**
     * Checks the last exits, in their order.
     *
     * @param expected the exits, up to {@value ExitLog#REMEMBERED}
     * @return this
     */
    public GuestAssert hasLastExits(GuestExit... expected) {
        if (expected.length > ExitLog.REMEMBERED) {
            throw new IllegalArgumentException(
                    "a guest remembers " + ExitLog.REMEMBERED + " exits; " + expected.length + " can't be compared");
        }
        List<GuestExit> wanted = List.of(expected);
        List<GuestExit> actually = guest().exits().last(expected.length);
        if (!actually.equals(wanted)) {
            throw failed("Expected the last exits to be " + wanted + ", but they are " + actually);
        }
        return this;
    }

    /**
     * Checks how many exits of a kind there were.
     *
     * @param kind the kind
     * @param count how many
     * @return this
     */
    public GuestAssert hasExits(ExitKind kind, long count) {
        long actually = guest().exits().count(kind);
        if (actually != count) {
            throw failed("Expected " + count + " exits of kind " + kind + ", but there were " + actually);
        }
        return this;
    }

    private MicroGuest guest() {
        isNotNull();
        return actual;
    }

    private AssertionError failed(String headline) {
        String description = info.descriptionText();
        String prefix = description.isEmpty() ? "" : "[" + description + "] ";
        return new AssertionError(GuestReport.of(actual, prefix + headline));
    }
}
