package io.github.jkvm.machine.device;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Clauses are those of the National Semiconductor PC16550D data sheet. */
class Serial16550Test {
    private static final int BASE = 0x3F8;
    private static final int DATA = BASE;
    private static final int IER = BASE + 1;
    private static final int IIR = BASE + 2;
    private static final int FCR = BASE + 2;
    private static final int LCR = BASE + 3;
    private static final int MCR = BASE + 4;
    private static final int LSR = BASE + 5;
    private static final int MSR = BASE + 6;
    private static final int SCR = BASE + 7;

    private static final int OUT2 = 0x08;
    private static final int LOOP = 0x10;

    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private FakeBus bus;
    private FakeBus.Line line;
    private Serial16550 serial;

    @BeforeEach
    void attach() {
        start(output);
    }

    private void start(OutputStream stream) {
        bus = new FakeBus();
        serial = new Serial16550(Serial16550.Port.COM1, stream);
        serial.attach(bus);
        line = bus.line(4);
    }

    private void receive(String text) {
        byte[] data = text.getBytes(US_ASCII);
        assertThat(serial.receive(data, 0, data.length)).isEqualTo(data.length);
    }

    private String readAvailable() {
        var text = new StringBuilder();
        while ((bus.in(LSR) & 1) != 0) {
            text.append((char) bus.in(DATA));
        }
        return text.toString();
    }

    /** Table I, "UART Reset Configuration". */
    @Test
    void comesUpAsAfterMasterReset() {
        assertPowerOn();
    }

    private void assertPowerOn() {
        assertThat(bus.in(IER)).isZero();
        assertThat(bus.in(IIR)).isEqualTo(0x01);
        assertThat(bus.in(LCR)).isZero();
        assertThat(bus.in(MCR)).isZero();
        assertThat(bus.in(LSR)).isEqualTo(0x60);
        assertThat(line.level).isFalse();
    }

    @Test
    void writesEachByteToTheOutput() {
        for (char c : "hello".toCharArray()) {
            bus.out(DATA, c);
        }
        assertThat(output.toString(US_ASCII)).isEqualTo("hello");
        assertThat(bus.in(LSR)).as("transmitter is empty at once").isEqualTo(0x60);
    }

    @Test
    void keepsDivisorLatchScratchAndLineControl() {
        bus.out(LCR, 0x83);
        bus.out(DATA, 0x01);
        bus.out(IER, 0xC2);
        assertThat(bus.in(DATA)).isEqualTo(0x01);
        assertThat(bus.in(IER)).isEqualTo(0xC2);
        bus.out(LCR, 0x03);
        bus.out(SCR, 0x5A);
        assertThat(bus.in(LCR)).isEqualTo(0x03);
        assertThat(bus.in(IER)).isZero();
        assertThat(bus.in(SCR)).isEqualTo(0x5A);
        assertThat(output.size()).as("the divisor latch is no data").isZero();
    }

    @Test
    void deliversInputInOrderThroughTheFifoOfSixteen() {
        bus.out(FCR, 0x01);
        String text = "the quick brown fox jumps over the lazy dog";
        receive(text);
        assertThat(readAvailable()).isEqualTo(text);
        assertThat(bus.in(LSR) & 0x02).as("never overrun by the host").isZero();
    }

    @Test
    void deliversInputOneByteAtATimeWithoutFifo() {
        receive("abc");
        assertThat(readAvailable()).isEqualTo("abc");
    }

    /** Table IV: received data available is reset by reading the receiver buffer. */
    @Test
    void raisesTheLineForInputAndLowersItWhenAllIsRead() {
        bus.out(MCR, OUT2);
        bus.out(IER, 0x01);
        receive("x");
        assertThat(line.level).isTrue();
        assertThat(bus.in(IIR)).isEqualTo(0x04);
        assertThat(line.level).as("reading the IIR does not reset it").isTrue();
        bus.in(DATA);
        assertThat(line.level).isFalse();
        assertThat(bus.in(IIR)).isEqualTo(0x01);
    }

    @Test
    void raisesTheLineWhenTheGuestEnablesInterruptsAfterInputArrived() {
        bus.out(MCR, OUT2);
        receive("lost?");
        assertThat(line.level).isFalse();
        bus.out(IER, 0x01);
        assertThat(line.level).isTrue();
        bus.out(IER, 0x00);
        assertThat(line.level).isFalse();
        bus.out(IER, 0x01);
        assertThat(line.level).as("still pending").isTrue();
        assertThat(line.edges).isEqualTo(2);
    }

    @Test
    void staysAssertedUntilTheWholeQueueIsDrained() {
        bus.out(MCR, OUT2);
        bus.out(FCR, 0x01);
        bus.out(IER, 0x01);
        receive("0123456789abcdef0123");
        for (int i = 0; i < 20; i++) {
            assertThat(line.level).isTrue();
            bus.in(DATA);
        }
        assertThat(line.level).isFalse();
        assertThat(line.edges).isEqualTo(1);
    }

    /** 8.4: trigger levels 1, 4, 8, 14; 8.10: below the level the character timeout tells of what is left. */
    @Test
    void tellsTriggerLevelFromCharacterTimeout() {
        bus.out(FCR, 0x81);
        bus.out(IER, 0x01);
        receive("1234567");
        assertThat(bus.in(IIR)).isEqualTo(0xCC);
        receive("8");
        assertThat(bus.in(IIR)).isEqualTo(0xC4);
        bus.in(DATA);
        assertThat(bus.in(IIR)).isEqualTo(0xCC);
        readAvailable();
        assertThat(bus.in(IIR)).isEqualTo(0xC1);
    }

    /** Table IV: transmitter holding register empty is reset by reading the IIR if it is the source, or writing the register. */
    @Test
    void transmitterInterruptFollowsTableFour() {
        bus.out(MCR, OUT2);
        bus.out(IER, 0x02);
        assertThat(line.level).as("enabled while empty").isTrue();
        assertThat(bus.in(IIR)).isEqualTo(0x02);
        assertThat(line.level).isFalse();
        assertThat(bus.in(IIR)).isEqualTo(0x01);
        bus.out(DATA, 'a');
        assertThat(line.level).as("empty again").isTrue();
        bus.out(IER, 0x00);
        bus.out(IER, 0x02);
        assertThat(bus.in(IIR)).as("as Linux tests for").isEqualTo(0x02);
    }

    /** Table IV, priorities: line status, received data, transmitter, modem status. */
    @Test
    void reportsCausesInOrderOfPriority() {
        bus.out(IER, 0x0F);
        bus.out(MCR, LOOP);
        bus.out(DATA, 'a');
        bus.out(DATA, 'b');
        assertThat(bus.in(IIR)).isEqualTo(0x06);
        assertThat(bus.in(LSR)).isEqualTo(0x63);
        assertThat(bus.in(IIR)).isEqualTo(0x04);
        assertThat(bus.in(DATA)).as("without FIFO the newer byte overwrites").isEqualTo('b');
        assertThat(bus.in(IIR)).isEqualTo(0x02);
        assertThat(bus.in(IIR)).isEqualTo(0x00);
        bus.in(MSR);
        assertThat(bus.in(IIR)).isEqualTo(0x01);
    }

    /** 8.3, bit 1: with FIFOs the new character is lost and those in the FIFO stay; the read of the LSR resets the bit. */
    @Test
    void overrunInLoopModeKeepsTheFifo() {
        bus.out(FCR, 0x01);
        bus.out(MCR, LOOP);
        for (int i = 0; i < 17; i++) {
            bus.out(DATA, 'a' + i);
        }
        assertThat(bus.in(LSR)).isEqualTo(0x63);
        assertThat(bus.in(LSR)).isEqualTo(0x61);
        assertThat(readAvailable()).isEqualTo("abcdefghijklmnop");
        assertThat(output.size()).as("nothing leaves in loop mode").isZero();
    }

    /** 8.7: in loop mode DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD. */
    @Test
    void loopsModemControlBackToModemStatus() {
        assertThat(bus.in(MSR)).isEqualTo(0xB0);
        bus.out(MCR, LOOP);
        bus.in(MSR);
        // As Linux' autoconfig does.
        bus.out(MCR, LOOP | 0x0A);
        assertThat(bus.in(MSR) & 0xF0).isEqualTo(0x90);
        bus.out(MCR, LOOP | 0x05);
        assertThat(bus.in(MSR)).isEqualTo(0x60 | 0x0B);
        bus.out(MCR, LOOP);
        assertThat(bus.in(MSR)).as("the end of RI sets TERI").isEqualTo(0x02 | 0x04);
        assertThat(bus.in(MSR)).as("a read resets the deltas").isZero();
    }

    @Test
    void holdsTheHostsBytesBackInLoopMode() {
        bus.out(MCR, LOOP);
        receive("x");
        assertThat(bus.in(LSR) & 1).isZero();
        bus.out(MCR, 0);
        assertThat(readAvailable()).isEqualTo("x");
    }

    @Test
    void interruptNeedsOutTwo() {
        bus.out(IER, 0x01);
        receive("x");
        assertThat(line.level).isFalse();
        bus.out(MCR, OUT2);
        assertThat(line.level).isTrue();
        bus.out(MCR, OUT2 | LOOP);
        assertThat(line.level).as("OUT2 is inactive in loop mode").isFalse();
    }

    /** 8.4: a change of bit 0 or a set bit 1 clears the receiver FIFO; bit 1 counts only with bit 0. */
    @Test
    void fifoControlResetsTheReceiver() {
        bus.out(FCR, 0x01);
        receive("abc");
        bus.out(FCR, 0x02 | 0x01);
        assertThat(bus.in(LSR) & 1).isZero();
        receive("def");
        bus.out(FCR, 0x00);
        assertThat(bus.in(LSR) & 1).isZero();
        receive("g");
        bus.out(FCR, 0x02);
        assertThat(readAvailable()).isEqualTo("g");
    }

    @Test
    void takesNoMoreThanItsQueueHolds() {
        byte[] flood = new byte[200_000];
        Arrays.fill(flood, (byte) 'x');
        int taken = serial.receive(flood, 0, flood.length);
        assertThat(taken).isEqualTo(Serial16550.QUEUE_SIZE + 1);
        assertThat(serial.receive(flood, 0, 1)).isZero();
        bus.in(DATA);
        assertThat(serial.receive(flood, 0, 2)).isEqualTo(1);
    }

    @Test
    @Timeout(20)
    void inputStreamWaitsForTheGuest() {
        byte[] data = new byte[Serial16550.QUEUE_SIZE * 2];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) (i * 31);
        }
        var writer = CompletableFuture.runAsync(() -> {
            try {
                serial.input().write(data);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        byte[] got = new byte[data.length];
        for (int i = 0; i < got.length; ) {
            if ((bus.in(LSR) & 1) != 0) {
                got[i++] = (byte) bus.in(DATA);
            }
        }
        writer.join();
        assertThat(got).isEqualTo(data);
    }

    @Test
    @Timeout(20)
    void closeEndsWritersThatWait() throws Exception {
        byte[] flood = new byte[Serial16550.QUEUE_SIZE * 2];
        var writer = CompletableFuture.supplyAsync(() -> {
            try {
                serial.input().write(flood);
                return "written";
            } catch (IOException e) {
                return e.getMessage();
            }
        });
        while (serial.receive(flood, 0, 1) != 0) {
            Thread.onSpinWait();
        }
        serial.close();
        assertThat(writer.get(10, TimeUnit.SECONDS)).isEqualTo("serial0 is closed: its machine has ended");
        assertThat(serial.receive(flood, 0, 1)).isZero();
    }

    @Test
    void outputThatFailsIsCountedAndTheGuestGoesOn() {
        start(new OutputStream() {
            @Override
            public void write(int value) throws IOException {
                throw new IOException("broken pipe");
            }
        });
        bus.out(DATA, 'a');
        bus.out(DATA, 'b');
        assertThat(serial.lostOutputBytes()).isEqualTo(2);
    }

    @Test
    void restoredPortGoesOnWhereTheSavedOneStopped() {
        bus.out(FCR, 0xC1);
        bus.out(MCR, OUT2 | 0x03);
        bus.out(IER, 0x01);
        bus.out(SCR, 0x77);
        receive("the quick brown fox");
        bus.in(DATA);
        var state = new DeviceState(1);
        serial.save(state);

        start(output);
        serial.restore(DeviceState.decode(state.encode()));
        assertThat(line.level).as("pending input interrupts again").isTrue();
        assertThat(bus.in(IIR)).isEqualTo(0xC4);
        assertThat(bus.in(SCR)).isEqualTo(0x77);
        assertThat(readAvailable()).isEqualTo("he quick brown fox");
    }

    @Test
    void refusesAStateOutOfRangeAndStaysAsItWas() {
        bus.out(SCR, 0x12);
        var state = new DeviceState(1);
        serial.save(state);
        state.putNumber("scratch", 0x34);
        state.putBytes("fifo", new byte[17]);
        assertThatThrownBy(() -> serial.restore(state))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("fifo");
        assertThat(bus.in(SCR)).isEqualTo(0x12);
    }

    @Test
    void resetReturnsToPowerOn() {
        bus.out(FCR, 0x01);
        bus.out(MCR, OUT2);
        bus.out(IER, 0x03);
        assertThat(line.level).isTrue();
        serial.reset();
        assertThat(line.level).isFalse();
        assertPowerOn();
    }

    /** The line is asserted exactly when a cause is enabled, pending and let through, whatever the guest does. */
    @Property(tries = 300)
    void lineAlwaysAgreesWithTheRegisters(@ForAll @Size(max = 200) byte[] script) {
        start(OutputStream.nullOutputStream());
        for (int i = 0; i + 1 < script.length; i += 2) {
            int register = script[i] & 7;
            int value = script[i + 1] & 0xFF;
            switch (script[i] >> 3 & 3) {
                case 0 -> bus.in(BASE + register);
                case 1 -> serial.receive(new byte[value], 0, value);
                default -> bus.out(BASE + register, value);
            }
            boolean open = (bus.in(MCR) & (OUT2 | LOOP)) == OUT2;
            boolean asserted = line.level;
            boolean pending = (bus.in(IIR) & 1) == 0;
            assertThat(asserted).isEqualTo(open && pending);
        }
        assertThat(line.calls).as("the line is called on changes only").isLessThanOrEqualTo(2 * line.edges);
    }
}
