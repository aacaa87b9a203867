package io.github.jkvm.machine.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * One term of ACPI Machine Language, put together from smaller ones (ACPI 6.5, chapter 20).
 *
 * <p>{@snippet lang = java :
 * Aml uart = Aml.device("COM1",
 *         Aml.name("_HID", Aml.eisaId("PNP0501")),
 *         Aml.name("_UID", Aml.integer(1)),
 *         Aml.name("_CRS", Aml.resources(AcpiResource.ports(0x3F8, 8), AcpiResource.isaInterrupt(4))));
 * }
 *
 * <p>Immutable.
 */
public final class Aml {
    /* ACPI 6.5, table 20.2, "AML Byte Stream Byte Values". */
    private static final int ZERO_OP = 0x00;
    private static final int ONE_OP = 0x01;
    private static final int NAME_OP = 0x08;
    private static final int BYTE_PREFIX = 0x0A;
    private static final int WORD_PREFIX = 0x0B;
    private static final int DWORD_PREFIX = 0x0C;
    private static final int STRING_PREFIX = 0x0D;
    private static final int QWORD_PREFIX = 0x0E;
    private static final int SCOPE_OP = 0x10;
    private static final int BUFFER_OP = 0x11;
    private static final int PACKAGE_OP = 0x12;
    private static final int METHOD_OP = 0x14;
    private static final int DUAL_NAME_PREFIX = 0x2E;
    private static final int MULTI_NAME_PREFIX = 0x2F;
    private static final int EXT_OP_PREFIX = 0x5B;
    private static final int ARG_0_OP = 0x68;
    private static final int STORE_OP = 0x70;
    private static final int NOTIFY_OP = 0x86;
    private static final int EXT_DEVICE_OP = 0x82;
    private static final int RETURN_OP = 0xA4;

    private static final int NAME_LENGTH = 4;
    private static final int MAX_ARGUMENTS = 7;
    private static final int MAX_ELEMENTS = 255;
    private static final int MAX_LENGTH = (1 << 28) - 1;

    private final byte[] bytes;

    private Aml(ByteArrayOutputStream out) {
        this.bytes = out.toByteArray();
    }

    /**
     * Returns the term as bytes.
     *
     * @return a new array
     */
    public byte[] toBytes() {
        return bytes.clone();
    }

    /**
     * Adds terms to a place in the name space, such as {@code \_SB}.
     *
     * @param path the place
     * @param terms what is defined there
     * @return the term
     * @throws IllegalArgumentException if the path is not one
     */
    public static Aml scope(String path, Aml... terms) {
        var content = nameString(path);
        writeAll(content, List.of(terms));
        return withLength(new int[] {SCOPE_OP}, content);
    }

    /**
     * Defines a device.
     *
     * @param name its name in the scope around it, up to four characters
     * @param terms its objects
     * @return the term
     * @throws IllegalArgumentException if the name is not one
     */
    public static Aml device(String name, Aml... terms) {
        var content = nameString(name);
        writeAll(content, List.of(terms));
        return withLength(new int[] {EXT_OP_PREFIX, EXT_DEVICE_OP}, content);
    }

    /**
     * Gives a value a name.
     *
     * @param path the name
     * @param value the value
     * @return the term
     * @throws IllegalArgumentException if the name is not one
     */
    public static Aml name(String path, Aml value) {
        var out = new ByteArrayOutputStream();
        out.write(NAME_OP);
        out.writeBytes(nameString(path).toByteArray());
        out.writeBytes(value.bytes);
        return new Aml(out);
    }

    /**
     * Defines a method that is not serialized.
     *
     * @param path its name
     * @param arguments how many arguments it takes, 0 to 7
     * @param terms its body
     * @return the term
     * @throws IllegalArgumentException if the name is not one or there are too many arguments
     */
    public static Aml method(String path, int arguments, Aml... terms) {
        if (arguments < 0 || arguments > MAX_ARGUMENTS) {
            throw new IllegalArgumentException(
                    "method " + path + " takes " + arguments + " arguments; it must be from 0 to " + MAX_ARGUMENTS);
        }
        var content = nameString(path);
        content.write(arguments);
        writeAll(content, List.of(terms));
        return withLength(new int[] {METHOD_OP}, content);
    }

    /**
     * Stores a value in a named object.
     *
     * @param value the value
     * @param path the object
     * @return the term
     * @throws IllegalArgumentException if the name is not one
     */
    public static Aml store(Aml value, String path) {
        var out = new ByteArrayOutputStream();
        out.write(STORE_OP);
        out.writeBytes(value.bytes);
        out.writeBytes(nameString(path).toByteArray());
        return new Aml(out);
    }

    /**
     * Tells the driver of a device of an event (ACPI 6.5, 5.6.6).
     *
     * @param path the device
     * @param event which, a number whose meaning depends on the device from 0x80 on
     * @return the term
     * @throws IllegalArgumentException if the name is not one
     */
    public static Aml notify(String path, long event) {
        var out = new ByteArrayOutputStream();
        out.write(NOTIFY_OP);
        out.writeBytes(nameString(path).toByteArray());
        writeInteger(out, event);
        return new Aml(out);
    }

    /**
     * Returns a value from a method.
     *
     * @param value the value
     * @return the term
     */
    public static Aml returned(Aml value) {
        var out = new ByteArrayOutputStream();
        out.write(RETURN_OP);
        out.writeBytes(value.bytes);
        return new Aml(out);
    }

    /**
     * Names an argument of the method around it.
     *
     * @param index which, from 0 to 6
     * @return the term
     * @throws IllegalArgumentException if there is no such argument
     */
    public static Aml argument(int index) {
        if (index < 0 || index >= MAX_ARGUMENTS) {
            throw new IllegalArgumentException(
                    "argument " + index + " of a method; it must be from 0 to " + (MAX_ARGUMENTS - 1));
        }
        var out = new ByteArrayOutputStream();
        out.write(ARG_0_OP + index);
        return new Aml(out);
    }

    /**
     * Refers to a named object.
     *
     * @param path its name
     * @return the term
     * @throws IllegalArgumentException if the name is not one
     */
    public static Aml reference(String path) {
        return new Aml(nameString(path));
    }

    /**
     * A number.
     *
     * @param value the number, unsigned
     * @return the term
     */
    public static Aml integer(long value) {
        var out = new ByteArrayOutputStream();
        writeInteger(out, value);
        return new Aml(out);
    }

    /**
     * A text.
     *
     * @param text printable ASCII
     * @return the term
     * @throws IllegalArgumentException if it holds anything else
     */
    public static Aml string(String text) {
        var out = new ByteArrayOutputStream();
        out.write(STRING_PREFIX);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c > '~') {
                throw new IllegalArgumentException(
                        "AML string \"" + text + "\" has a character that is no printable" + " ASCII at index " + i);
            }
            out.write(c);
        }
        out.write(0);
        return new Aml(out);
    }

    /**
     * The identity of a device in the compressed form of EISA (ACPI 6.5, 19.6.37), such as {@code PNP0501}.
     *
     * @param id three capital letters and four hexadecimal digits
     * @return the term
     * @throws IllegalArgumentException if it has another form
     */
    public static Aml eisaId(String id) {
        if (!id.matches("[A-Z]{3}[0-9A-F]{4}")) {
            throw new IllegalArgumentException(
                    "EISA id \"" + id + "\" must be three capital letters and four hexadecimal digits");
        }
        int letters = ((id.charAt(0) - '@') << 10) | ((id.charAt(1) - '@') << 5) | (id.charAt(2) - '@');
        int product = Integer.parseInt(id, 3, 7, 16);
        // The bytes are in big-endian order, in a number that is stored little-endian.
        return integer(Integer.toUnsignedLong(Integer.reverseBytes((letters << Short.SIZE) | product)));
    }

    /**
     * A list of values.
     *
     * @param elements the values, at most 255
     * @return the term
     * @throws IllegalArgumentException if there are more
     */
    public static Aml list(Aml... elements) {
        if (elements.length > MAX_ELEMENTS) {
            throw new IllegalArgumentException(
                    "AML package has " + elements.length + " elements; the limit is " + MAX_ELEMENTS);
        }
        var content = new ByteArrayOutputStream();
        content.write(elements.length);
        writeAll(content, List.of(elements));
        return withLength(new int[] {PACKAGE_OP}, content);
    }

    /**
     * A buffer of bytes.
     *
     * @param data the bytes
     * @return the term
     */
    public static Aml buffer(byte... data) {
        var content = new ByteArrayOutputStream();
        writeInteger(content, data.length);
        content.writeBytes(data);
        return withLength(new int[] {BUFFER_OP}, content);
    }

    /**
     * A resource template: what a device's {@code _CRS} gives.
     *
     * @param resources the resources
     * @return the term
     */
    public static Aml resources(AcpiResource... resources) {
        return buffer(AcpiResource.template(resources));
    }

    private static void writeAll(ByteArrayOutputStream out, List<Aml> terms) {
        for (Aml term : terms) {
            out.writeBytes(term.bytes);
        }
    }

    private static void writeInteger(ByteArrayOutputStream out, long value) {
        if (value == 0 || value == 1) {
            out.write(value == 0 ? ZERO_OP : ONE_OP);
        } else if (value >>> 8 == 0) {
            out.write(BYTE_PREFIX);
            LittleEndian.write(out, value, 1);
        } else if (value >>> 16 == 0) {
            out.write(WORD_PREFIX);
            LittleEndian.write(out, value, 2);
        } else if (value >>> 32 == 0) {
            out.write(DWORD_PREFIX);
            LittleEndian.write(out, value, 4);
        } else {
            out.write(QWORD_PREFIX);
            LittleEndian.write(out, value, 8);
        }
    }

    /** A path of names, from the root if it begins with a backslash (ACPI 6.5, 20.2.2). */
    private static ByteArrayOutputStream nameString(String path) {
        var out = new ByteArrayOutputStream();
        String relative = path;
        if (path.startsWith("\\")) {
            out.write('\\');
            relative = path.substring(1);
        }
        String[] names = relative.split("\\.", -1);
        if (names.length > MAX_ELEMENTS) {
            throw new IllegalArgumentException("AML path has " + names.length + " names; the limit is " + MAX_ELEMENTS);
        }
        if (names.length == 2) {
            out.write(DUAL_NAME_PREFIX);
        } else if (names.length > 2) {
            out.write(MULTI_NAME_PREFIX);
            out.write(names.length);
        }
        for (String name : names) {
            if (!name.matches("[A-Z_][A-Z0-9_]{0,3}")) {
                throw new IllegalArgumentException("AML name \"" + name + "\" in \"" + path
                        + "\" must be 1 to 4 capital letters, digits or underscores, not beginning with a digit");
            }
            out.writeBytes(name.getBytes(StandardCharsets.US_ASCII));
            for (int i = name.length(); i < NAME_LENGTH; i++) {
                out.write('_');
            }
        }
        return out;
    }

    /** Puts an operator and the length of its content, which counts itself, in front (ACPI 6.5, 20.2.4). */
    private static Aml withLength(int[] operator, ByteArrayOutputStream content) {
        var out = new ByteArrayOutputStream();
        for (int b : operator) {
            out.write(b);
        }
        int size = content.size();
        if (size + 1 < 1 << 6) {
            out.write(size + 1);
        } else {
            int following = size + 2 < 1 << 12 ? 1 : size + 3 < 1 << 20 ? 2 : 3;
            int length = size + 1 + following;
            if (length > MAX_LENGTH) {
                throw new IllegalArgumentException("AML term of " + length + " bytes; the limit is " + MAX_LENGTH);
            }
            out.write((following << 6) | (length & 0x0F));
            LittleEndian.write(out, length >>> 4, following);
        }
        out.writeBytes(content.toByteArray());
        return new Aml(out);
    }
}
