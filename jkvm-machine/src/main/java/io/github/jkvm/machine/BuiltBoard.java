package io.github.jkvm.machine;

import io.github.jkvm.Device;
import io.github.jkvm.VmBus;
import io.github.jkvm.machine.boot.LoadedKernel;
import io.github.jkvm.machine.device.AcpiPm;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A board that is ready to run.
 *
 * @param vm the VM, with its memory filled
 * @param vcpus its vCPUs, each set up to start
 * @param bus where its devices are attached
 * @param devices the devices, in the order they were attached
 * @param kernel what was loaded
 * @param console the console, if there is a serial port
 * @param output what the console's guest prints, if the console keeps it
 * @param power the power-management registers, if there are some
 */
record BuiltBoard(
        X86Vm vm,
        List<X86VCpu> vcpus,
        VmBus bus,
        List<Device> devices,
        LoadedKernel kernel,
        @Nullable Console console,
        ConsoleBuffer output,
        @Nullable AcpiPm power) {}
