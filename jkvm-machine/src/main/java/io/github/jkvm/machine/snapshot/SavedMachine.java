package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import io.github.jkvm.DeviceState;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.PcDevice;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.boot.MemoryMap;
import io.github.jkvm.machine.state.CpuState;
import io.github.jkvm.machine.state.Pages;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.Function;

/**
 * All of a machine but the contents of its memory.
 *
 * @param shape what it is made of
 * @param cpus its vCPUs, in order of their ids
 * @param chips what the hypervisor has besides
 * @param devices the states of its devices by their names, in the order that they were attached
 */
public record SavedMachine(
        Shape shape, List<CpuState> cpus, ChipState chips, SequencedMap<String, DeviceState> devices) {

    private static final String BOARD = "board";
    private static final String CHIPS = "chips";
    private static final String CPU = "cpu ";
    private static final String DEVICE = "device ";

    private static final RecordCodec<Shape> SHAPE_CODEC = new RecordCodec<>(Shape.class);
    private static final RecordCodec<CpuState> CPU_CODEC = new RecordCodec<>(CpuState.class);

    /** The build that wrote a snapshot and the one that reads it must agree on this. */
    static final String LAYOUT = SHAPE_CODEC.layout() + CPU_CODEC.layout() + ChipState.layout() + MemoryFile.layout();

    /**
     * What a machine is made of.
     *
     * @param board the kind of computer
     * @param memory size of its memory in bytes
     * @param pcDevices devices of the board that it has
     * @param added the names of the devices that were added to the board, in order
     * @param takenMillis when the snapshot was taken: milliseconds since 1970
     */
    public record Shape(Board board, long memory, List<PcDevice> pcDevices, List<String> added, long takenMillis) {
        /**
         * Returns where the memory is.
         *
         * @return its parts, in the order in which they lie in an image one after the other
         * @throws IllegalArgumentException if no such board has memory of this size
         */
        public List<GuestRange> ram() {
            return board == Board.PC ? MemoryMap.ramOf(memory) : List.of(new GuestRange(0, memory));
        }
    }

    /** Returns the parts as bytes, by name. */
    SequencedMap<String, Bytes> toSections() {
        SequencedMap<String, Bytes> sections = new LinkedHashMap<>();
        sections.put(BOARD, Bytes.copyOf(SHAPE_CODEC.encode(shape)));
        for (int i = 0; i < cpus.size(); i++) {
            sections.put(CPU + i, Bytes.copyOf(CPU_CODEC.encode(cpus.get(i))));
        }
        sections.put(CHIPS, chips.encode());
        devices.forEach((name, state) -> sections.put(DEVICE + name, Bytes.copyOf(state.encode())));
        return sections;
    }

    /**
     * Reads what {@link #toSections} gave.
     *
     * @throws BadSectionException if a part is missing or no such part
     */
    static SavedMachine of(SequencedMap<String, Bytes> sections) throws BadSectionException {
        Shape shape = read(sections, BOARD, SHAPE_CODEC::decode);
        ChipState chips = read(sections, CHIPS, ChipState::decode);
        List<CpuState> cpus = new ArrayList<>();
        SequencedMap<String, DeviceState> devices = new LinkedHashMap<>();
        for (String name : sections.sequencedKeySet()) {
            if (name.startsWith(CPU)) {
                cpus.add(read(sections, CPU + cpus.size(), CPU_CODEC::decode));
            } else if (name.startsWith(DEVICE)) {
                devices.put(name.substring(DEVICE.length()), read(sections, name, DeviceState::decode));
            }
        }
        var machine = new SavedMachine(shape, List.copyOf(cpus), chips, devices);
        machine.check();
        return machine;
    }

    private static <T> T read(SequencedMap<String, Bytes> sections, String name, Function<byte[], T> decoder)
            throws BadSectionException {
        Bytes bytes = sections.get(name);
        if (bytes == null) {
            throw new BadSectionException(name, "is missing");
        }
        try {
            return decoder.apply(bytes.toArray());
        } catch (IllegalArgumentException e) {
            throw new BadSectionException(name, e);
        }
    }

    /** Checks what no part can check alone. */
    private void check() throws BadSectionException {
        if (cpus.isEmpty()) {
            throw new BadSectionException(CPU + 0, "is missing");
        }
        if (cpus.stream().allMatch(CpuState::halted)) {
            throw new BadSectionException(
                    CPU + 0, "has halted for good, like all others: there is nothing to go on with");
        }
        boolean pc = shape.board == Board.PC;
        if (chips.irqChip().size() != (pc ? 1 : 0)
                || chips.pit().size() > chips.irqChip().size()) {
            throw new BadSectionException(CHIPS, "does not fit the board " + shape.board);
        }
        for (CpuState cpu : cpus) {
            if (cpu.lapic().size() != (pc ? 1 : 0)) {
                throw new BadSectionException(CPU + cpus.indexOf(cpu), "does not fit the board " + shape.board);
            }
        }
        if (chips.pit().isEmpty() != !(pc && shape.pcDevices.contains(PcDevice.TIMER))) {
            throw new BadSectionException(CHIPS, "does not fit the devices " + shape.pcDevices + " of the board");
        }
        if (shape.memory <= 0 || shape.memory % Pages.SIZE != 0) {
            throw new BadSectionException(
                    BOARD, "claims " + shape.memory + " bytes of memory, no multiple of " + Pages.SIZE);
        }
        try {
            shape.ram();
        } catch (IllegalArgumentException e) {
            throw new BadSectionException(BOARD, e);
        }
        for (String name : shape.added) {
            if (!devices.containsKey(name)) {
                throw new BadSectionException(DEVICE + name, "is missing");
            }
        }
    }
}
