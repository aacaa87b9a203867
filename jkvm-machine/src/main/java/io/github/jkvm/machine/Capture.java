package io.github.jkvm.machine;

import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.machine.snapshot.ChipState;
import io.github.jkvm.machine.snapshot.GuestContents;
import io.github.jkvm.machine.snapshot.Layer;
import io.github.jkvm.machine.snapshot.MemoryRecord;
import io.github.jkvm.machine.snapshot.SavedMachine;
import io.github.jkvm.machine.state.CpuState;
import io.github.jkvm.machine.state.CpuStates;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** Takes a snapshot of a board whose vCPUs stand still. */
final class Capture {
    private final MachineBuilder options;
    private final BuiltBoard board;
    private final RunState state;
    private final MemoryRecord memory;

    private Capture(MachineBuilder options, BuiltBoard board, RunState state, MemoryRecord memory) {
        this.options = options;
        this.board = board;
        this.state = state;
        this.memory = memory;
    }

    /** Takes it, of memory only what differs from a base if there is one. */
    static MachineSnapshot of(
            MachineBuilder options, BuiltBoard board, RunState state, MemoryRecord memory, @Nullable Layer base) {
        var capture = new Capture(options, board, state, memory);
        AtomicReference<MachineSnapshot> taken = new AtomicReference<>();
        // On the thread of the devices, so that none of them does anything between the first state and the last byte of
        // memory.
        board.loop().runAlone(() -> taken.set(capture.take(base)));
        return Objects.requireNonNull(taken.get());
    }

    private MachineSnapshot take(@Nullable Layer base) {
        List<Device> touched = new ArrayList<>();
        MachineSnapshot taken;
        try {
            // First: what they bring to an end may still write memory and interrupt.
            SequencedMap<String, DeviceState> devices = new LinkedHashMap<>();
            for (Device device : board.devices()) {
                touched.add(device);
                var saved = new DeviceState(1);
                device.save(saved);
                if (devices.put(device.name(), saved) != null) {
                    throw new IllegalStateException("two devices are named '" + device.name()
                            + "', and a snapshot tells them apart by name; give each its own");
                }
            }
            boolean pc = options.board() == Board.PC;
            var states = new CpuStates(X86Hypervisor.of(options.hypervisor()), pc);
            List<CpuState> cpus = new ArrayList<>();
            for (X86VCpu vcpu : board.vcpus()) {
                cpus.add(states.capture(vcpu, board.cpuids().get(vcpu.id()), state.hasHalted(vcpu.id())));
            }
            ChipState chips = ChipState.capture(board.vm(), pc, pc && options.has(PcDevice.TIMER));
            var shape = new SavedMachine.Shape(
                    options.board(),
                    options.memory(),
                    pc ? Arrays.stream(PcDevice.values()).filter(options::has).toList() : List.of(),
                    options.devices().stream().map(Device::name).toList(),
                    System.currentTimeMillis());
            taken = new MachineSnapshot(
                    new SavedMachine(shape, List.copyOf(cpus), chips, devices),
                    new GuestContents(memory.copy(options.hypervisor(), base)));
        } catch (Throwable failure) {
            resume(touched).forEach(failure::addSuppressed);
            throw failure;
        }
        List<Throwable> failures = resume(touched);
        if (failures.isEmpty()) {
            return taken;
        }
        taken.close();
        var stuck = new IllegalStateException(
                "the snapshot was taken, but not all devices go on after it", failures.getFirst());
        failures.stream().skip(1).forEach(stuck::addSuppressed);
        throw stuck;
    }

    /** Has all go on, also those after one that fails to; returns the failures. */
    private static List<Throwable> resume(List<Device> devices) {
        List<Throwable> failures = new ArrayList<>();
        for (Device device : devices) {
            try {
                device.resume();
            } catch (RuntimeException | Error failure) {
                failures.add(failure);
            }
        }
        return failures;
    }
}
