package io.github.jkvm;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.SequencedMap;
import java.util.TreeMap;

/**
 * The saved state of one device: named numbers and byte strings, with a version.
 *
 * <p>Restoring reads it as untrusted data: each getter names the range it accepts, and what is missing or outside is an
 * {@link IllegalArgumentException} that names the entry. Not safe for use by several threads.
 */
public final class DeviceState {
    /** Longest byte string in bytes. */
    public static final int MAX_BYTES = 16 << 20;

    private static final int MAGIC = 0x6A64_7331;
    private static final int MAX_ENTRIES = 65_536;

    private final int version;
    private final SequencedMap<String, Long> numbers = new TreeMap<>();
    private final SequencedMap<String, byte[]> bytes = new TreeMap<>();

    /**
     * Creates an empty state.
     *
     * @param version the version of the device's own layout of it, 1 or more
     * @throws IllegalArgumentException if the version is below 1
     */
    public DeviceState(int version) {
        if (version < 1) {
            throw new IllegalArgumentException("device state version " + version + " must be 1 or more");
        }
        this.version = version;
    }

    /**
     * Returns the version of the layout.
     *
     * @return the version, 1 or more
     */
    public int version() {
        return version;
    }

    /**
     * Puts a number.
     *
     * @param name its name, unique among the numbers
     * @param value the number
     */
    public void putNumber(String name, long value) {
        numbers.put(name, value);
    }

    /**
     * Puts a byte string.
     *
     * @param name its name, unique among the byte strings
     * @param value the bytes, copied
     * @throws IllegalArgumentException if it is longer than {@link #MAX_BYTES}
     */
    public void putBytes(String name, byte[] value) {
        if (value.length > MAX_BYTES) {
            throw new IllegalArgumentException(
                    "state entry '" + name + "' has " + value.length + " bytes; the limit is " + MAX_BYTES);
        }
        bytes.put(name, value.clone());
    }

    /**
     * Returns a number.
     *
     * @param name its name
     * @param min least value accepted
     * @param max greatest value accepted
     * @return the number
     * @throws IllegalArgumentException if it is missing or out of range
     */
    public long number(String name, long min, long max) {
        Long value = numbers.get(name);
        if (value == null) {
            throw new IllegalArgumentException("state entry '" + name + "' is missing");
        }
        if (value < min || value > max) {
            throw new IllegalArgumentException(
                    "state entry '" + name + "' is " + value + "; it must be from " + min + " to " + max);
        }
        return value;
    }

    /**
     * Returns a number of any value.
     *
     * @param name its name
     * @return the number
     * @throws IllegalArgumentException if it is missing
     */
    public long number(String name) {
        return number(name, Long.MIN_VALUE, Long.MAX_VALUE);
    }

    /**
     * Returns a byte string.
     *
     * @param name its name
     * @param maxLength greatest length accepted
     * @return a copy of the bytes
     * @throws IllegalArgumentException if it is missing or longer
     */
    public byte[] bytes(String name, int maxLength) {
        byte[] value = bytes.get(name);
        if (value == null) {
            throw new IllegalArgumentException("state entry '" + name + "' is missing");
        }
        if (value.length > maxLength) {
            throw new IllegalArgumentException(
                    "state entry '" + name + "' has " + value.length + " bytes; at most " + maxLength + " are allowed");
        }
        return value.clone();
    }

    /**
     * Returns the state as bytes, the same for equal states.
     *
     * @return the bytes, for {@link #decode}
     */
    public byte[] encode() {
        var out = new ByteArrayOutputStream();
        try (var data = new DataOutputStream(out)) {
            data.writeInt(MAGIC);
            data.writeInt(version);
            data.writeInt(numbers.size());
            for (var entry : numbers.entrySet()) {
                data.writeUTF(entry.getKey());
                data.writeLong(entry.getValue());
            }
            data.writeInt(bytes.size());
            for (var entry : bytes.entrySet()) {
                data.writeUTF(entry.getKey());
                data.writeInt(entry.getValue().length);
                data.write(entry.getValue());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    /**
     * Reads what {@link #encode} wrote. The bytes may come from anywhere.
     *
     * @param encoded the bytes
     * @return the state
     * @throws IllegalArgumentException if they are not a whole encoded state
     */
    public static DeviceState decode(byte[] encoded) {
        try (var data = new DataInputStream(new ByteArrayInputStream(encoded))) {
            int magic = data.readInt();
            if (magic != MAGIC) {
                throw new IllegalArgumentException("device state begins with 0x" + Integer.toHexString(magic)
                        + ", not 0x" + Integer.toHexString(MAGIC) + ": these bytes are no device state");
            }
            var state = new DeviceState(data.readInt());
            int count = count(data.readInt());
            for (int i = 0; i < count; i++) {
                state.putNumber(data.readUTF(), data.readLong());
            }
            count = count(data.readInt());
            for (int i = 0; i < count; i++) {
                String name = data.readUTF();
                int length = data.readInt();
                if (length < 0 || length > data.available()) {
                    throw new IllegalArgumentException("state entry '" + name + "' claims " + length + " bytes; "
                            + data.available() + " are left");
                }
                state.putBytes(name, data.readNBytes(length));
            }
            if (data.available() != 0) {
                throw new IllegalArgumentException("device state is followed by " + data.available() + " stray bytes");
            }
            return state;
        } catch (IOException e) {
            throw new IllegalArgumentException(
                    "device state of " + encoded.length + " bytes is cut short or damaged", e);
        }
    }

    private static int count(int count) {
        if (count < 0 || count > MAX_ENTRIES) {
            throw new IllegalArgumentException(
                    "device state claims " + count + " entries; the limit is " + MAX_ENTRIES);
        }
        return count;
    }

    /** Returns the version and the names of the entries. */
    @Override
    public String toString() {
        return "device state v" + version + " " + numbers.keySet() + " " + bytes.keySet();
    }
}
