package io.github.jkvm.testkit.asm;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A call of one of the assembler's methods with random arguments, and the line of GNU {@code as} that means the same. The methods are found
 * by reflection, so that a new one is tested without a word here.
 */
record RandomInstruction(Method method, List<Object> arguments, String prefix, String line) {
    /** Methods that write no instruction. */
    private static final Set<String> NOT_INSTRUCTIONS = Set.of(
            "mode", "bind", "bytes", "words", "dwords", "qwords", "word", "dword", "qword", "ascii", "asciz", "align",
            "fill", "padTo", "lock", "rep", "repe", "repne");

    /** Mnemonics that are not the method's name. */
    private static final Map<String, String> MNEMONICS = Map.ofEntries(
            Map.entry("interrupt", "int"),
            Map.entry("jmpFar16", "ljmpw"),
            Map.entry("jmpFar32", "ljmpd"),
            Map.entry("callFar16", "lcallw"),
            Map.entry("callFar32", "lcalld"),
            Map.entry("retf16", "retfw"),
            Map.entry("retf32", "retfd"),
            Map.entry("retf64", "retfq"));

    private static final Set<String> LOCKABLE = Set.of(
            "add",
            "or",
            "adc",
            "sbb",
            "and",
            "sub",
            "xor",
            "inc",
            "dec",
            "not",
            "neg",
            "bts",
            "btr",
            "btc",
            "cmpxchg",
            "xadd",
            "xchg",
            "cmpxchg8b",
            "cmpxchg16b");

    /** Every method that writes an instruction and whose operands are no labels, in a fixed order. */
    static final List<Method> METHODS = Arrays.stream(Assembler.class.getMethods())
            .filter(method -> method.getReturnType() == Assembler.class)
            .filter(method -> !NOT_INSTRUCTIONS.contains(method.getName()))
            .filter(method -> Stream.of(method.getParameterTypes()).noneMatch(type -> type == Label.class))
            .sorted(Comparator.comparing(Method::toGenericString))
            .toList();

    private static final Map<Type, Integer> BITS =
            Map.of(Width.Bits8.class, 8, Width.Bits16.class, 16, Width.Bits32.class, 32, Width.Bits64.class, 64);

    /** A call of that method; the CPU may have no such instruction. */
    static RandomInstruction of(Method method, Mode mode, Random random) {
        Map<Type, Integer> widths = new HashMap<>(BITS);
        for (TypeVariable<?> variable : method.getTypeParameters()) {
            widths.put(variable, width(variable.getBounds()[0], mode, random));
        }
        List<Object> arguments = new ArrayList<>();
        for (Type type : method.getGenericParameterTypes()) {
            arguments.add(argument(type, widths, mode, random));
        }
        String prefix = prefix(method.getName(), random);
        return new RandomInstruction(method, arguments, prefix, prefix + line(method.getName(), mode, arguments));
    }

    /** Writes the instruction; throws what the assembler throws. */
    void writeTo(Assembler assembler) {
        try {
            if (!prefix.isEmpty()) {
                Assembler.class.getMethod(prefix.strip()).invoke(assembler);
            }
            method.invoke(assembler, arguments.toArray());
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new AssertionError(line, e);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(line, e);
        }
    }

    private static String line(String name, Mode mode, List<Object> arguments) {
        // Outside 64-bit code, as knows one size of it and has no suffix for it.
        String mnemonic =
                name.equals("sysexitd") && mode != Mode.BITS64 ? "sysexit" : MNEMONICS.getOrDefault(name, name);
        List<Object> operands = arguments;
        if (!operands.isEmpty() && operands.getFirst() instanceof Condition condition) {
            mnemonic += condition.name().toLowerCase(Locale.ROOT);
            operands = operands.subList(1, operands.size());
        }
        boolean isFarPointer = mnemonic.startsWith("l")
                && operands.size() == 2
                && operands.get(1) instanceof Long
                && name.contains("Far");
        String text = String.join(
                isFarPointer ? ":" : ", ",
                operands.stream()
                        .map(operand -> name.equals("movabs") && operand instanceof Long address
                                ? "[0x" + Long.toHexString(address) + "]"
                                : operand.toString())
                        .toList());
        return (mnemonic + " " + text).strip();
    }

    private static String prefix(String name, Random random) {
        if (random.nextInt(3) != 0) {
            return "";
        }
        if (LOCKABLE.contains(name)) {
            return "lock ";
        }
        if (name.matches("(movs|stos|lods|ins|outs)[bwdq]")) {
            return "rep ";
        }
        return name.matches("(cmps|scas)[bwdq]") ? random.nextBoolean() ? "repe " : "repne " : "";
    }

    private static int width(Type bound, Mode mode, Random random) {
        int smallest = bound == Width.AtLeast32.class ? 32 : bound == Width.AtLeast16.class ? 16 : 8;
        int largest = mode == Mode.BITS64 || random.nextInt(20) == 0 ? 64 : 32;
        List<Integer> widths = Stream.of(8, 16, 32, 64)
                .filter(bits -> bits >= smallest && bits <= largest)
                .toList();
        return pick(random, widths);
    }

    private static Object argument(Type type, Map<Type, Integer> widths, Mode mode, Random random) {
        if (type instanceof ParameterizedType parameterized) {
            int bits = widths.get(parameterized.getActualTypeArguments()[0]);
            boolean isMemory = parameterized.getRawType() == Operand.class && random.nextBoolean();
            return isMemory ? sized(memory(mode, random), bits) : register(bits, mode, random);
        }
        if (type == Mem.class) {
            return memory(mode, random);
        }
        if (type == int.class) {
            return random.nextInt(8) == 0 ? (int) number(random) : random.nextInt(300) - 20;
        }
        if (type == long.class) {
            return number(random);
        }
        if (type instanceof Class<?> group && Reg.class.isAssignableFrom(group)) {
            return mode == Mode.BITS64 || random.nextInt(20) == 0
                    ? pick(random, List.of(group.getEnumConstants()))
                    : group.getEnumConstants()[random.nextInt(8)];
        }
        if (type instanceof Class<?> group && group.isEnum()) {
            return pick(random, List.of(group.getEnumConstants()));
        }
        throw new AssertionError("no random arguments of " + type + " yet; add them here");
    }

    private static SizedMem<?> sized(Mem mem, int bits) {
        return switch (bits) {
            case 8 -> Mem.bytePtr(mem);
            case 16 -> Mem.wordPtr(mem);
            case 32 -> Mem.dwordPtr(mem);
            default -> Mem.qwordPtr(mem);
        };
    }

    private static Reg<?> register(int bits, Mode mode, Random random) {
        // The accumulator has forms of its own: it comes more often.
        int number =
                random.nextInt(4) == 0 ? 0 : random.nextInt(mode == Mode.BITS64 || random.nextInt(20) == 0 ? 16 : 8);
        return switch (bits) {
            case 8 -> Reg8.values()[number == 0 ? 0 : random.nextInt(mode == Mode.BITS64 ? Reg8.values().length : 8)];
            case 16 -> Reg16.values()[number];
            case 32 -> Reg32.values()[number];
            default -> Reg64.values()[number];
        };
    }

    private static Mem memory(Mode mode, Random random) {
        long displacement = random.nextInt(4) == 0 ? 0 : number(random);
        Mem mem = switch (random.nextInt(8)) {
            case 0 -> Mem.mem(displacement);
            case 1 -> Mem.mem(Reg32.values()[random.nextInt(mode == Mode.BITS64 ? 16 : 8)], displacement);
            case 2 -> Mem.scaled(address(mode, random), 1 << random.nextInt(4), displacement);
            case 3, 4 ->
                mode == Mode.BITS16 || random.nextInt(8) == 0
                        ? memory16(random, displacement)
                        : Mem.mem(address(mode, random), displacement);
            case 5 -> Mem.mem(address(mode, random), displacement);
            default -> Mem.mem(address(mode, random), address(mode, random), 1 << random.nextInt(4), displacement);
        };
        return random.nextInt(4) == 0 ? mem.in(pick(random, List.of(SegReg.values()))) : mem;
    }

    private static Mem memory16(Random random, long displacement) {
        Reg16 base = pick(random, List.of(Reg16.BX, Reg16.BP));
        Reg16 index = pick(random, List.of(Reg16.SI, Reg16.DI));
        return switch (random.nextInt(3)) {
            case 0 -> Mem.mem(base, (short) displacement);
            case 1 -> Mem.mem(index, (short) displacement);
            default -> Mem.mem(base, index, 1, (short) displacement);
        };
    }

    /** A register for addresses of that code size; its static type is wrong for 32 bits, and nothing looks at that when it runs. */
    @SuppressWarnings("unchecked")
    private static Reg<Width.Bits64> address(Mode mode, Random random) {
        return (Reg<Width.Bits64>) register(mode == Mode.BITS64 ? 64 : 32, mode, random);
    }

    /** Numbers around the limits of every size. */
    private static long number(Random random) {
        long near = random.nextInt(5) - 2L;
        return switch (random.nextInt(8)) {
            case 0, 1 -> random.nextInt(256) - 128;
            case 2 -> (1L << random.nextInt(63)) + near;
            case 3 -> -(1L << random.nextInt(63)) + near;
            case 4 -> (short) random.nextInt();
            case 5 -> random.nextLong();
            default -> random.nextInt();
        };
    }

    private static <T> T pick(Random random, List<T> from) {
        return from.get(random.nextInt(from.size()));
    }
}
