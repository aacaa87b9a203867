package io.github.jkvm.testkit;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.testkit.asm.GuestCode;
import io.github.jkvm.testkit.internal.Durations;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.Translation;
import io.github.jkvm.x86.X86VCpu;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Writes down what a guest is at, for a person who wants to know why a test failed. */
final class GuestReport {
    private static final int CODE_BYTES = 16;
    private static final int SHOWN_EXITS = 16;
    private static final int LINES_AROUND = 4;
    private static final Pattern CODE_LINE = Pattern.compile("([0-9a-f]{8,16})  ");
    private static final int SHOWN_TEXT = 2000;

    private final StringBuilder out = new StringBuilder();
    private final MicroGuest guest;

    private GuestReport(MicroGuest guest) {
        this.guest = guest;
    }

    /** Returns the report: a headline, then what is known. */
    static String of(MicroGuest guest, String headline) {
        var report = new GuestReport(guest);
        report.out.append(headline);
        GuestStop stop = guest.lastStop();
        report.line("stopped", stop == null ? "has not run" : describe(stop));
        report.processor();
        for (Port port : Port.values()) {
            report.text(port);
        }
        report.exits();
        return report.out.toString();
    }

    static String describe(@Nullable GuestStop stop) {
        return switch (stop) {
            case null -> "not yet";
            case GuestStop.Halted() -> "by a halt instruction";
            case GuestStop.PoweredOff(int status) -> "by itself, with status " + status;
            case GuestStop.Reported(int value) -> "to report 0x" + Integer.toHexString(value);
            case GuestStop.TripleFaulted() -> "by a triple fault";
            case GuestStop.TouchedNothing(GuestExit access) -> "at an address without memory or device: " + access;
            case GuestStop.Printed() -> "when it had printed what was waited for";
            case GuestStop.RanOutOfTime(var limit) -> "by force, still running after " + Durations.text(limit);
            case GuestStop.Interrupted() -> "by VCpu.interrupt()";
            case GuestStop.Other(var exit) -> "for " + exit;
        };
    }

    private void line(String what, String text) {
        out.append("\n  ").append(what).append(": ").append(text);
    }

    private void processor() {
        try {
            Registers general = guest.registers();
            SpecialRegisters special = guest.vcpu().specialRegisters();
            long[] values = general.toArray();
            Registers.Name[] names = Registers.Name.values();
            StringBuilder row = new StringBuilder();
            for (int i = 0; i < names.length; i++) {
                row.append(i % 4 == 0 ? "\n    " : "  ")
                        .append(String.format("%-6s %016x", names[i].name().toLowerCase(Locale.ROOT), values[i]));
            }
            line("registers", row.toString());
            line(
                    "control",
                    String.format(
                            "cr0 %x  cr2 %x  cr3 %x  cr4 %x  efer %x  cs %x (base %x)",
                            special.cr0(),
                            special.cr2(),
                            special.cr3(),
                            special.cr4(),
                            special.efer(),
                            special.cs().selector(),
                            special.cs().base()));
            code(special.cs().base() + general.rip());
        } catch (IllegalStateException | HypervisorException e) {
            line("registers", "not to be had: " + e.getMessage());
        }
    }

    private void code(long linear) {
        X86VCpu vcpu = guest.vcpu();
        Translation translation = vcpu.translate(linear);
        String where = "0x" + Long.toHexString(linear);
        if (translation.valid() == 0) {
            line("code", where + " is not mapped by the guest's page tables");
            return;
        }
        long physical = translation.physicalAddress();
        GuestMemory memory = guest.memory();
        int readable = CODE_BYTES;
        while (readable > 0 && !memory.contains(physical, readable)) {
            readable--;
        }
        line(
                "code",
                readable == 0
                        ? where + " has no memory"
                        : where + ": " + HexFormat.ofDelimiter(" ").formatHex(memory.read(physical, readable)));
        GuestCode program = guest.code();
        if (program != null && linear >= program.origin() && linear < program.origin() + program.size()) {
            line("program", "\n" + excerpt(program.listing(), linear));
        }
    }

    /** The lines around an address, which are in the order of their addresses; the one the processor is at is marked. */
    private static String excerpt(String listing, long address) {
        List<String> lines = listing.lines().toList();
        int at = 0;
        for (int i = 0; i < lines.size(); i++) {
            OptionalLong begins = addressOf(lines.get(i));
            if (begins.isPresent() && begins.getAsLong() <= address) {
                at = i;
            }
        }
        StringBuilder excerpt = new StringBuilder();
        for (int i = Math.max(0, at - LINES_AROUND); i < Math.min(lines.size(), at + LINES_AROUND + 1); i++) {
            excerpt.append(i == at ? "  > " : "    ").append(lines.get(i)).append('\n');
        }
        return excerpt.toString().stripTrailing();
    }

    /** A line with code begins with its address, one with a label does not. */
    private static OptionalLong addressOf(String line) {
        Matcher matcher = CODE_LINE.matcher(line);
        return matcher.lookingAt() ? OptionalLong.of(Long.parseLong(matcher.group(1), 16)) : OptionalLong.empty();
    }

    private void text(Port port) {
        long printed = guest.printed(port);
        if (printed == 0) {
            line(port.title(), "nothing printed");
            return;
        }
        String text = guest.text(port);
        boolean all = text.length() <= SHOWN_TEXT;
        String shown = all ? text : text.substring(text.length() - SHOWN_TEXT);
        line(port.title(), printed + " bytes" + (all ? "" : ", the last of them") + "\n    | " + indent(shown));
    }

    /** Control characters but the end of a line are shown as dots, as in a dump. */
    private static String indent(String text) {
        return text.stripTrailing().replaceAll("[\\p{Cntrl}&&[^\n\t]]", ".").replace("\n", "\n    | ");
    }

    private void exits() {
        List<GuestExit> last = guest.exits().last(SHOWN_EXITS);
        line("exits", guest.exits().total() + (last.isEmpty() ? "" : ", the last ones:"));
        for (GuestExit exit : last) {
            out.append("\n    ").append(exit);
        }
    }
}
