package io.github.jkvm.testkit.asm;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A program of jumps to labels near and far, and of their addresses in code and data, for both assemblers. Nothing in it is aligned: without
 * that there is one shortest choice of jumps, and with it each assembler has its own.
 */
record RandomProgram(GuestCode code, List<String> lines) {
    static final long ORIGIN = 0x1000;

    private static final int LABELS = 24;
    /** Statements from one label to the next. */
    private static final int SPACING = 16;

    private static final List<Condition> CONDITIONS = List.of(Condition.values());

    static RandomProgram of(Mode mode, Random random) {
        Assembler assembler = new Assembler(mode, ORIGIN);
        List<String> lines = new ArrayList<>();
        List<Label> labels = new ArrayList<>();
        for (int i = 0; i < LABELS; i++) {
            labels.add(assembler.label("label" + i));
        }
        for (int i = 0; i < LABELS * SPACING; i++) {
            Label label = labels.get(random.nextInt(LABELS));
            // A jump finds its label among the nearest most of the time, so that both forms come often.
            Label near = labels.get(Math.floorMod(i / SPACING + random.nextInt(3) - 1, LABELS));
            if (i % SPACING == 0) {
                Label here = labels.get(i / SPACING);
                assembler.bind(here);
                lines.add(here + ":");
            }
            switch (random.nextInt(11)) {
                case 0, 1, 2 -> {
                    assembler.jmp(near);
                    lines.add("jmp " + near);
                }
                case 3, 4, 5 -> {
                    Condition condition = CONDITIONS.get(random.nextInt(CONDITIONS.size()));
                    assembler.j(condition, near);
                    lines.add("j" + condition + " " + near);
                }
                case 6 -> {
                    assembler.call(label);
                    lines.add("call " + label);
                }
                case 7 -> address(assembler, lines, mode, label);
                case 8 -> data(assembler, lines, label);
                case 9 -> {
                    long displacement = random.nextInt(100) - 50L;
                    assembler.mov(Reg32.ECX, Mem.mem(label, displacement));
                    lines.add("mov ecx, [" + (mode == Mode.BITS64 ? "rip+" : "") + label + "+" + displacement + "]");
                }
                default -> {
                    int count = random.nextInt(40);
                    assembler.fill(count, 0x90);
                    lines.add(".fill " + count + ", 1, 0x90");
                }
            }
        }
        loops(assembler, lines, mode);
        return new RandomProgram(assembler.assemble(), lines);
    }

    private static void address(Assembler assembler, List<String> lines, Mode mode, Label label) {
        switch (mode) {
            case BITS16 -> {
                assembler.mov(Reg16.SI, label);
                lines.add("mov si, offset " + label);
            }
            case BITS32 -> {
                assembler.mov(Reg32.ESI, label).jmpFar32(8, label);
                lines.add("mov esi, offset " + label);
                lines.add("ljmp 8:" + label);
            }
            case BITS64 -> {
                assembler.mov(Reg64.RSI, label);
                lines.add("movabs rsi, offset " + label);
            }
        }
    }

    private static void data(Assembler assembler, List<String> lines, Label label) {
        assembler.word(label).dword(label);
        lines.add(".word " + label);
        lines.add(".long " + label);
        if (assembler.mode() == Mode.BITS64) {
            assembler.qword(label);
            lines.add(".quad " + label);
        }
    }

    /** Jumps that have a short form only. */
    private static void loops(Assembler assembler, List<String> lines, Mode mode) {
        Label again = assembler.here("again");
        lines.add("again:");
        assembler.loop(again).loope(again).loopne(again).jecxz(again);
        lines.addAll(List.of("loop again", "loope again", "loopne again", "jecxz again"));
        if (mode == Mode.BITS64) {
            assembler.jrcxz(again);
            lines.add("jrcxz again");
        } else {
            assembler.jcxz(again);
            lines.add("jcxz again");
        }
    }
}
