package io.github.jkvm.sandbox.function;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;

/** Reads the types that a guest declares: the text between the macros' parentheses, as it is in the C file. */
final class TypeParser {
    /** Most structs in one another, fields of a struct with all in it, and parameters of a function: far more than anybody writes. */
    private static final int MAX_DEPTH = 8;

    private static final int MAX_FIELDS = 256;
    private static final int MAX_PARAMETERS = 32;

    private static final Map<String, CType> BASIC = Map.ofEntries(
            Map.entry("void", CType.Basic.VOID),
            Map.entry("bool", CType.Basic.BOOL),
            Map.entry("_Bool", CType.Basic.BOOL),
            Map.entry("int", CType.Basic.INT),
            Map.entry("int32_t", CType.Basic.INT),
            Map.entry("long", CType.Basic.LONG),
            Map.entry("long long", CType.Basic.LONG),
            Map.entry("int64_t", CType.Basic.LONG),
            Map.entry("float", CType.Basic.FLOAT),
            Map.entry("double", CType.Basic.DOUBLE),
            Map.entry("jkvm_bytes", CType.Basic.BYTES));

    private static final String KNOWN =
            "bool, int, long, float, double, const char *, jkvm_bytes, and const NAME * of a JKVM_RECORD";

    private static final Pattern SPACE = Pattern.compile("\\s+");

    private final Map<String, Declaration> declarations = new HashMap<>();
    private final Map<String, CType.Struct> structs = new HashMap<>();

    private record Declaration(String fields, long size) {}

    /** Takes note of a struct; its fields may be declared later. */
    void declare(String name, String fields, long size) {
        if (declarations.put(name, new Declaration(fields, size)) != null) {
            throw new BadGuestException("two records have the name '" + name + "'; rename one");
        }
    }

    /** Reads all structs. */
    void readStructs() {
        for (String name : declarations.keySet()) {
            struct(name, 1);
        }
    }

    /** Reads the declaration of a function. */
    Signature signature(String name, String result, String parameters) {
        String where = "function '" + name + "'";
        String list = parameters.strip();
        if (!list.startsWith("(") || !list.endsWith(")") || list.length() < 2) {
            throw new BadGuestException(where + " has the parameters '" + parameters + "'; write them in parentheses");
        }
        list = list.substring(1, list.length() - 1).strip();
        List<CType> types = new ArrayList<>();
        if (!list.equals("void") && !list.isEmpty()) {
            String[] texts = list.split(",", -1);
            if (texts.length > MAX_PARAMETERS) {
                throw new BadGuestException(where + " has " + texts.length + " parameters; the limit is "
                        + MAX_PARAMETERS + ": put them into a record");
            }
            for (String text : texts) {
                CType type = passed(where, text);
                if (type == CType.Basic.VOID) {
                    throw new BadGuestException(where + " takes a void; remove it");
                }
                types.add(type);
            }
        }
        return new Signature(name, passed(where, result), types);
    }

    /** A type of a parameter or result. */
    private CType passed(String where, String text) {
        List<String> words = words(text);
        if (!words.isEmpty() && words.getLast().equals("*")) {
            String pointed = String.join(" ", words.subList(0, words.size() - 1));
            if (pointed.equals("char")) {
                return CType.Basic.STRING;
            }
            if (declarations.containsKey(pointed)) {
                return struct(pointed, 1);
            }
            throw unknown(where, text);
        }
        CType basic = BASIC.get(String.join(" ", words));
        if (basic == null) {
            throw unknown(where, text);
        }
        return basic;
    }

    private static BadGuestException unknown(String where, String text) {
        return new BadGuestException(
                where + " has the type '" + text.strip() + "'; types that go between guest and host are " + KNOWN);
    }

    /** The words of a type, without those that make no difference here. */
    private static List<String> words(String text) {
        List<String> words = new ArrayList<>();
        for (String word : SPACE.split(text.replace("*", " * "), -1)) {
            if (!word.isEmpty() && !word.equals("const") && !word.equals("struct")) {
                words.add(word);
            }
        }
        return words;
    }

    private CType.Struct struct(String name, int depth) {
        CType.Struct known = structs.get(name);
        if (known != null) {
            return known;
        }
        if (depth > MAX_DEPTH) {
            throw new BadGuestException("record '" + name + "' lies in more than " + MAX_DEPTH + " others");
        }
        Declaration declaration = Objects.requireNonNull(declarations.get(name), name);
        List<CType.Field> fields = new ArrayList<>();
        long end = 0;
        int alignment = 1;
        for (String text : declaration.fields().split(";", -1)) {
            if (text.isBlank()) {
                continue;
            }
            CType.Field field = field(name, text, end, depth);
            fields.add(field);
            if (fields.size() > MAX_FIELDS) {
                throw new BadGuestException("record '" + name + "' has more than " + MAX_FIELDS + " fields");
            }
            end = field.offset() + (long) field.type().size();
            alignment = Math.max(alignment, field.type().alignment());
        }
        long size = aligned(end, alignment);
        if (fields.isEmpty() || size != declaration.size()) {
            throw new BadGuestException("record '" + name + "' takes " + declaration.size()
                    + " bytes in the guest, where its fields '" + declaration.fields() + "' take " + size
                    + "; leave packing and alignment to the compiler");
        }
        var struct = new CType.Struct(name, fields, Math.toIntExact(size), alignment);
        if (count(struct) > MAX_FIELDS) {
            throw new BadGuestException(
                    "record '" + name + "' has more than " + MAX_FIELDS + " fields with those of the records in it");
        }
        structs.put(name, struct);
        return struct;
    }

    private CType.Field field(String struct, String text, long end, int depth) {
        String where = "record '" + struct + "'";
        List<String> words = words(text);
        String name = words.isEmpty() ? "" : words.getLast();
        if (words.size() < 2 || !name.matches("[A-Za-z_][A-Za-z0-9_]*")) {
            throw new BadGuestException(where + " has the field '" + text.strip()
                    + "'; declare each as TYPE NAME; without arrays and lists");
        }
        List<String> typeWords = words.subList(0, words.size() - 1);
        String typeText = String.join(" ", typeWords);
        CType type = declarations.containsKey(typeText) ? struct(typeText, depth + 1) : passed(where, typeText);
        if (type == CType.Basic.VOID || (type instanceof CType.Struct && typeWords.contains("*"))) {
            throw new BadGuestException(where + " has the field '" + text.strip()
                    + "'; a record in a record lies in it by itself, without an address");
        }
        return new CType.Field(name, type, Math.toIntExact(aligned(end, type.alignment())));
    }

    private static int count(CType type) {
        return type instanceof CType.Struct struct
                ? struct.fields().stream()
                        .mapToInt(field -> count(field.type()))
                        .sum()
                : 1;
    }

    private static long aligned(long offset, int alignment) {
        return (offset + alignment - 1) & -alignment;
    }
}
