package io.github.jkvm.machine;

import io.github.jkvm.Device;
import io.github.jkvm.VmBus;
import io.github.jkvm.machine.boot.LoadedKernel;
import io.github.jkvm.machine.device.AcpiPm;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A board that is ready to run.
 *
 * @param vm the VM, with its memory filled
 * @param vcpus its vCPUs, each set up to start
 * @param cpuids what each of them was told that {@code CPUID} answers
 * @param bus where its devices are attached
 * @param loop the thread that its devices work on
 * @param devices the devices, in the order they were attached
 * @param kernel what was loaded, unless it goes on from a snapshot
 * @param console the console, if there is a serial port
 * @param output what the console's guest prints, if the console keeps it
 * @param power the power-management registers, if there are some
 */
record BuiltBoard(
        X86Vm vm,
        List<X86VCpu> vcpus,
        List<List<CpuidEntry>> cpuids,
        VmBus bus,
        LazyEventLoop loop,
        List<Device> devices,
        @Nullable LoadedKernel kernel,
        @Nullable Console console,
        ConsoleBuffer output,
        @Nullable AcpiPm power) {}
