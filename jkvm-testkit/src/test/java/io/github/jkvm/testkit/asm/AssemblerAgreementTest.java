package io.github.jkvm.testkit.asm;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * Random instructions, by way of every method of the assembler, encode as GNU {@code as} encodes them, and random programs get the same
 * jumps and addresses.
 */
class AssemblerAgreementTest {
    /** No instruction is longer than 15 bytes (SDM volume 2A, 2.3.11): each has a slot, and a mistake in one does not move the next. */
    private static final int SLOT = 16;

    /** A byte that neither assembler writes for filling. */
    private static final int FILL = 0xD6;

    private static final int INSTRUCTIONS = 2_400;

    /** Where the assembler is stricter than {@code as} on purpose: numbers it would cut, and forms it would silently turn into others. */
    private static final Pattern STRICTER = Pattern.compile(
            "does not fit|must be from|a near target|cannot be an index|cannot load cs|the source has 8 or 16 bits");

    @BeforeContainer
    static void needsBinutils() {
        GnuAs.assumeInstalled();
    }

    /** 4 tries of 2,400 instructions in each of 3 code sizes: 28,800. */
    @Property(tries = 4, shrinking = ShrinkingMode.OFF)
    void everyInstructionIsEncodedAsGnuAsDoes(@ForAll Random random) {
        for (Mode mode : Mode.values()) {
            Assembler slots = new Assembler(mode, 0);
            List<String> lines = new ArrayList<>();
            List<String> source = new ArrayList<>();
            for (int i = 0; lines.size() < INSTRUCTIONS; i++) {
                RandomInstruction instruction = random(i, mode, random);
                byte[] code;
                try {
                    code = encoded(instruction, mode);
                } catch (IllegalArgumentException notEncodable) {
                    continue;
                }
                byte[] slot = Arrays.copyOf(code, SLOT);
                Arrays.fill(slot, code.length, SLOT, (byte) FILL);
                slots.bytes(slot);
                lines.add(instruction.line());
                source.add(instruction.line());
                source.add(".balign " + SLOT + ", " + FILL);
            }
            assertSame(mode, lines, slots.assemble().bytes(), GnuAs.assemble(mode, 0, source));
        }
    }

    /** In 64-bit code, because elsewhere {@code as} takes the names of missing registers for names of variables. */
    @Property(tries = 4, shrinking = ShrinkingMode.OFF)
    void whatTheAssemblerRefusesGnuAsRejects(@ForAll Random random) {
        List<String> refused = new ArrayList<>();
        for (int i = 0; i < INSTRUCTIONS; i++) {
            RandomInstruction instruction = random(i, Mode.BITS64, random);
            try {
                encoded(instruction, Mode.BITS64);
            } catch (IllegalArgumentException e) {
                if (!STRICTER.matcher(e.getMessage()).find()) {
                    refused.add(instruction.line());
                }
            }
        }
        GnuAs.Verdict verdict = GnuAs.judge(Mode.BITS64, refused);
        List<String> taken = new ArrayList<>();
        for (int i = 0; i < refused.size(); i++) {
            if (!verdict.rejected().contains(i + 1)) {
                taken.add(refused.get(i));
            }
        }
        assertThat(refused).isNotEmpty();
        assertThat(taken).as("what as takes and the assembler refuses").isEmpty();
    }

    @Property(tries = 12, shrinking = ShrinkingMode.OFF)
    void jumpsAndAddressesOfLabelsAreThoseOfGnuAs(@ForAll Random random) {
        for (Mode mode : Mode.values()) {
            RandomProgram program = RandomProgram.of(mode, random);
            byte[] ours = program.code().bytes();
            byte[] theirs = GnuAs.assemble(mode, RandomProgram.ORIGIN, program.lines());
            int difference = Arrays.mismatch(ours, theirs);
            assertThat(difference)
                    .as(() -> mode + " differs at " + Immediate.text(RandomProgram.ORIGIN + difference)
                            + ", where as has "
                            + HexFormat.of()
                                    .formatHex(
                                            theirs,
                                            Math.min(difference, theirs.length),
                                            Math.min(difference + SLOT, theirs.length))
                            + "\n" + program.code().listing())
                    .isEqualTo(-1);
        }
    }

    private static RandomInstruction random(int number, Mode mode, Random random) {
        List<Method> methods = RandomInstruction.METHODS;
        return RandomInstruction.of(methods.get(number % methods.size()), mode, random);
    }

    private static byte[] encoded(RandomInstruction instruction, Mode mode) {
        Assembler alone = new Assembler(mode, 0);
        instruction.writeTo(alone);
        return alone.assemble().bytes();
    }

    private static void assertSame(Mode mode, List<String> lines, byte[] ours, byte[] theirs) {
        List<String> differences = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            if (!Arrays.equals(ours, i * SLOT, (i + 1) * SLOT, theirs, i * SLOT, (i + 1) * SLOT)) {
                differences.add(lines.get(i) + ": assembler " + hex(ours, i * SLOT) + ", as " + hex(theirs, i * SLOT));
            }
        }
        assertThat(differences).as(mode.toString()).isEmpty();
        assertThat(theirs).hasSize(ours.length);
    }

    private static String hex(byte[] bytes, int at) {
        return HexFormat.of().formatHex(bytes, at, at + SLOT).replaceAll("(d6)+$", "");
    }
}
