package io.github.jkvm.machine;

import io.github.jkvm.Bus;
import io.github.jkvm.Capability;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.PlatformSlots;
import io.github.jkvm.VmBus;
import io.github.jkvm.machine.acpi.AcpiTables;
import io.github.jkvm.machine.acpi.Aml;
import io.github.jkvm.machine.acpi.PlatformAml;
import io.github.jkvm.machine.boot.BootParameters;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.boot.LoadedKernel;
import io.github.jkvm.machine.boot.MemoryMap;
import io.github.jkvm.machine.device.AcpiPm;
import io.github.jkvm.machine.device.Cmos;
import io.github.jkvm.machine.device.DebugExit;
import io.github.jkvm.machine.device.GenerationId;
import io.github.jkvm.machine.device.GuestRequest;
import io.github.jkvm.machine.device.I8042;
import io.github.jkvm.machine.device.PvPanic;
import io.github.jkvm.machine.device.ResetControl;
import io.github.jkvm.machine.device.Serial16550;
import io.github.jkvm.machine.pci.PciHost;
import io.github.jkvm.machine.pci.PciLayout;
import io.github.jkvm.machine.snapshot.HostFit;
import io.github.jkvm.machine.snapshot.SavedMachine;
import io.github.jkvm.machine.state.CpuState;
import io.github.jkvm.machine.state.CpuStates;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.FpuState;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.X86Vm;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Puts a machine together, in the order that KVM needs. {@link #assemble} is the recipe. */
final class BoardAssembly {
    /**
     * Pages that KVM uses itself on Intel processors that can't run real mode: in the hole for devices, right below the firmware's place at
     * the end of 4 GiB. One page, then three.
     */
    private static final GuestAddress IDENTITY_MAP = GuestAddress.of(0xFFFB_C000L);

    private static final GuestAddress TASK_STATE = GuestAddress.of(0xFFFB_D000L);

    /** Where the ACPI tables lie: the part of the firmware area that guests search for them. */
    private static final GuestRange ACPI_SPACE = GuestRange.between(0xE_0000, 0xF_F000);

    /** Right behind them: the last page of the firmware area, so that the guest takes it for no memory of its own. */
    private static final GuestRange GENERATION_ID_SPACE = GuestRange.between(0xF_F000, 0x10_0000);

    /** Where devices sit that ACPI tells of: right below the IOAPIC, in the hole for devices. */
    private static final GuestAddress PLATFORM_WINDOW = GuestAddress.of(0xFEB0_0000L);

    private static final long PLATFORM_WINDOW_SIZE = 0x10_0000;

    /**
     * The inputs of the IOAPIC for these devices: those that only the IOAPIC has come first, then those of the 8259s that nothing on this
     * board uses. 16 to 19 are the PCI bus's.
     */
    private static final List<Integer> PLATFORM_GSIS = List.of(20, 21, 22, 23, 5, 10, 11, 6, 7, 13, 14);

    /* KVM_IRQCHIP_* of Linux, arch/x86/include/uapi/asm/kvm.h. */
    private static final int PIC_MASTER = 0;
    private static final int PIC_SLAVE = 1;
    private static final int IOAPIC = 2;
    private static final int PIC_INPUTS = 8;
    private static final int IOAPIC_INPUTS = 24;

    /** Delivery modes of the local vector table (SDM volume 3, 12.5.1). */
    private static final int LVT_EXTINT = 0x700;

    private static final int LVT_NMI = 0x400;

    /** SDM volume 4, table 2-2: IA32_MISC_ENABLE bit 0, "Fast-Strings Enable". */
    private static final long FAST_STRINGS = 1;

    /** SDM volume 3, 13.11.2.1: memory type range registers on (bit 11), default type write-back (6). */
    private static final long MTRR_WRITE_BACK = 1 << 11 | 6;

    private final PlatformSlots slots = new PlatformSlots(PLATFORM_WINDOW, PLATFORM_WINDOW_SIZE, PLATFORM_GSIS);

    private final MachineBuilder options;
    private final X86Hypervisor hypervisor;
    private final Consumer<GuestRequest> requests;
    private final X86Vm vm;
    private final LazyEventLoop loop;
    private final VmBus bus;
    private final List<List<CpuidEntry>> cpuids = new ArrayList<>();
    private final List<Device> devices = new ArrayList<>();
    private final List<Aml> descriptions = new ArrayList<>();
    private final ConsoleBuffer output = new ConsoleBuffer(Console.CAPACITY);
    private @Nullable Console console;
    private @Nullable AcpiPm power;
    private @Nullable PciLayout pci;

    private BoardAssembly(MachineBuilder options, Consumer<GuestRequest> requests) {
        this.options = options;
        this.requests = requests;
        // Before there is a VM to be closed: another architecture is refused here.
        this.hypervisor = X86Hypervisor.of(options.hypervisor());
        this.vm = X86Vm.of(hypervisor.createVm());
        this.loop = new LazyEventLoop(vm, options.name() + "-devices");
        this.bus = new VmBus(vm, loop);
    }

    /** Makes the machine. Closes all that was made if something fails. */
    static BuiltBoard assemble(MachineBuilder options, Consumer<GuestRequest> requests) {
        var assembly = new BoardAssembly(options, requests);
        try {
            return assembly.assemble();
        } catch (Throwable failure) {
            assembly.devices.reversed().forEach(Device::close);
            assembly.vm.close();
            throw failure;
        }
    }

    private BuiltBoard assemble() {
        boolean pc = options.board() == Board.PC;
        MachineSnapshot origin = options.origin();
        if (origin != null) {
            List<String> missing = HostFit.missing(hypervisor, origin.machine());
            if (!missing.isEmpty()) {
                throw new IncompatibleSnapshotException(missing);
            }
        }

        // 1. The pages KVM needs for itself, before any vCPU: KVM refuses the first later, and the first vCPU fills
        // them in.
        vm.setIdentityMapAddress(IDENTITY_MAP);
        vm.setTssAddress(TASK_STATE);

        // 2. The interrupt controllers, before the vCPUs, each of which then gets its local APIC; and the timer after
        // the controllers, since
        //    it interrupts through them. Without them, a halt leaves the guest.
        if (pc) {
            vm.createIrqChip();
            vm.setInterruptRoutes(routes());
            if (options.has(PcDevice.TIMER)) {
                vm.createPit();
            }
        }

        // 3. Memory. KVM takes it at any time; loaders and devices need it.
        for (GuestRange ram : options.ram()) {
            vm.addMemory(ram.address(), options.backing(ram));
        }

        // 4. Devices, before the tables that describe them. Those of the caller come last, and are told by name who has
        // what they want.
        if (pc) {
            bus.usePlatformSlots(slots);
            DeviceMemory.window(options.ram(), hypervisor.supportedCpuid()).ifPresent(bus::useMemoryWindow);
            addPcDevices();
        } else {
            addMicroDevices();
        }
        options.devices().forEach(device -> add(pc ? bus : new UnwiredBus(bus), device));
        descriptions.addAll(options.descriptions());
        slots.taken().forEach(slot -> descriptions.add(PlatformAml.slot(slot)));

        if (origin != null) {
            return board(goOn(origin.machine()), null);
        }

        // 5. The kernel with all that it is handed: memory map, ACPI tables, command line, initrd, modules.
        LoadedKernel kernel = pc ? loadForPc() : load(BootParameters.builder(MemoryMap.of(vm.memory())));
        return board(enterKernel(kernel), kernel);
    }

    private BuiltBoard board(List<X86VCpu> vcpus, @Nullable LoadedKernel kernel) {
        return new BuiltBoard(vm, vcpus, cpuids, bus, loop, devices, kernel, console, output, power);
    }

    /** Makes the vCPUs. On a PC the first one starts and the others wait in KVM for its start-up message. */
    private List<X86VCpu> enterKernel(LoadedKernel kernel) {
        boolean pc = options.board() == Board.PC;
        List<X86VCpu> vcpus = new ArrayList<>();
        var cpus = new CpuTopology(
                hypervisor.supportedCpuid(),
                options.vcpus(),
                pc ? CpuTopology.Timer.TSC_DEADLINE : CpuTopology.Timer.NONE);
        for (int id = 0; id < options.vcpus(); id++) {
            X86VCpu vcpu = vm.createVCpu(id);
            // CPUID first: it decides which model-specific and control registers the vCPU has.
            cpuids.add(cpus.cpuidOf(id));
            vcpu.setCpuid(cpuids.get(id));
            if (pc) {
                setUpLikeFirmware(vcpu);
            }
            if (!pc || id == 0) {
                enter(vcpu, kernel);
            }
            vcpus.add(vcpu);
        }
        return vcpus;
    }

    /**
     * Makes the vCPUs and gives all their saved states: vCPUs first, since setting a local APIC may raise what the interrupt controllers then settle; devices
     * last, since they may interrupt at once.
     */
    private List<X86VCpu> goOn(SavedMachine saved) {
        var states = new CpuStates(hypervisor, options.board() == Board.PC);
        List<X86VCpu> vcpus = new ArrayList<>();
        for (CpuState state : saved.cpus()) {
            X86VCpu vcpu = vm.createVCpu(vcpus.size());
            states.apply(vcpu, state);
            cpuids.add(state.cpuid());
            vcpus.add(vcpu);
        }
        saved.chips().apply(vm);
        // The time since the snapshot passes for the guest at once.
        vcpus.forEach(VCpuRunner::tellOfPause);
        // Nothing of a device that has its state runs before all have theirs.
        loop.runAlone(() -> devices.forEach(device -> restore(device, saved)));
        return vcpus;
    }

    private static void restore(Device device, SavedMachine saved) {
        DeviceState state = saved.devices().get(device.name());
        if (state == null) {
            throw new BadSnapshotException("snapshot: section 'device " + device.name() + "' is missing");
        }
        try {
            device.restore(state);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "device '" + device.name() + "' does not take its saved state: " + e.getMessage(), e);
        }
    }

    /**
     * GSI 0 to 15 are inputs of the two 8259s and of the IOAPIC, 16 to 23 of the IOAPIC alone. The timer's, GSI 0, goes to input 2 of the
     * IOAPIC, as on a PC (and as the MADT says); input 2 of the 8259 is the other 8259.
     */
    private static List<InterruptRoute> routes() {
        List<InterruptRoute> routes = new ArrayList<>();
        for (int gsi = 0; gsi < IOAPIC_INPUTS; gsi++) {
            if (gsi < PIC_INPUTS && gsi != AcpiTables.TIMER_GSI) {
                routes.add(new InterruptRoute.Pin(gsi, PIC_MASTER, gsi));
            } else if (gsi >= PIC_INPUTS && gsi < 2 * PIC_INPUTS) {
                routes.add(new InterruptRoute.Pin(gsi, PIC_SLAVE, gsi - PIC_INPUTS));
            }
            if (gsi != AcpiTables.TIMER_GSI) {
                routes.add(new InterruptRoute.Pin(gsi, IOAPIC, gsi == 0 ? AcpiTables.TIMER_GSI : gsi));
            }
        }
        return routes;
    }

    private void addPcDevices() {
        if (options.has(PcDevice.SERIAL)) {
            addConsole(bus);
            descriptions.add(PlatformAml.serial(Serial16550.Port.COM1));
        }
        if (options.has(PcDevice.CLOCK)) {
            add(bus, new Cmos(options.clock()));
            descriptions.add(PlatformAml.clock());
        }
        if (options.has(PcDevice.KEYBOARD_CONTROLLER)) {
            add(bus, new I8042(requests));
            descriptions.add(PlatformAml.keyboard());
        }
        if (options.has(PcDevice.CRASH_PORT)) {
            add(bus, new PvPanic(requests));
            descriptions.add(PlatformAml.pvPanic());
        }
        if (options.has(PcDevice.EXIT_PORT)) {
            add(bus, new DebugExit(requests));
        }
        if (options.has(PcDevice.GENERATION_ID)) {
            add(bus, new GenerationId(GENERATION_ID_SPACE.address()));
            descriptions.addAll(PlatformAml.generationId(GENERATION_ID_SPACE.address()));
        }
        power = new AcpiPm(requests);
        add(bus, power);
        var resetControl = new ResetControl(requests);
        if (options.has(PcDevice.PCI)) {
            pci = PciLayout.pc(options.memory(), DeviceMemory.addressBits(hypervisor.supportedCpuid()));
            var host = new PciHost(pci, resetControl);
            add(bus, host);
            bus.usePci(host);
        } else {
            add(bus, resetControl);
        }
    }

    private void addMicroDevices() {
        addConsole(new UnwiredBus(bus));
        add(bus, new DebugExit(requests));
    }

    private void addConsole(Bus where) {
        OutputStream target = options.consoleOutput();
        var serial = new Serial16550(Serial16550.Port.COM1, target == null ? output : target);
        add(where, serial);
        console = new Console(serial, output);
    }

    private void add(Bus where, Device device) {
        // In the list first, so that it is closed if attaching fails half-way.
        devices.add(device);
        device.attach(where);
    }

    private LoadedKernel loadForPc() {
        Set<AcpiTables.LegacyDevice> legacy = EnumSet.noneOf(AcpiTables.LegacyDevice.class);
        if (options.has(PcDevice.KEYBOARD_CONTROLLER)) {
            legacy.add(AcpiTables.LegacyDevice.I8042);
        }
        if (options.has(PcDevice.CLOCK)) {
            legacy.add(AcpiTables.LegacyDevice.CMOS);
        }
        List<Integer> apicIds = IntStream.range(0, options.vcpus()).boxed().toList();
        AcpiTables tables = AcpiTables.of(ACPI_SPACE, apicIds, legacy, descriptions, pci);
        tables.writeTo(vm.memory());
        MemoryMap map = MemoryMap.pc(options.memory())
                .with(ACPI_SPACE, MemoryMap.Kind.RESERVED)
                .with(GENERATION_ID_SPACE, MemoryMap.Kind.RESERVED);
        if (pci != null) {
            // Linux takes configuration space in memory only where it is told that this is no place for other things.
            map = map.with(pci.configuration(), MemoryMap.Kind.RESERVED);
        }
        return load(BootParameters.builder(map).rsdp(tables.rsdp()));
    }

    private LoadedKernel load(BootParameters.Builder parameters) {
        parameters.commandLine(options.commandLine());
        options.initrd().ifPresent(parameters::initrd);
        options.modules().forEach(parameters::module);
        return options.kernel().load(vm.memory(), parameters.build());
    }

    /** What firmware leaves behind on every processor and a kernel relies on. */
    private static void setUpLikeFirmware(X86VCpu vcpu) {
        vcpu.setMsrs(List.of(
                new Msr(Msr.MISC_ENABLE, FAST_STRINGS),
                // Without write-back as the default type, Linux takes all memory for uncached device memory.
                new Msr(Msr.MTRR_DEF_TYPE, MTRR_WRITE_BACK)));
        // Interrupts of the 8259s and NMIs reach the processor until the guest programs its IOAPIC ("virtual wire
        // mode", SDM volume 3, 12.5.1).
        vcpu.setLapic(vcpu.lapic()
                .withRegister(LapicState.LVT_LINT0, LVT_EXTINT)
                .withRegister(LapicState.LVT_LINT1, LVT_NMI));
    }

    /** Control registers before general-purpose ones, as a mode must be there before an address in it means something. */
    private static void enter(X86VCpu vcpu, LoadedKernel kernel) {
        vcpu.setSpecialRegisters(kernel.specialRegisters(vcpu.specialRegisters()));
        vcpu.setRegisters(kernel.registers());
        vcpu.setFpu(FpuState.INITIAL);
    }

    /** What the host must have for a board. */
    static List<Capability> needs(Board board) {
        return board == Board.PC ? List.of(Capability.IRQCHIP, Capability.PIT2, Capability.IRQ_ROUTING) : List.of();
    }
}
