package io.github.jkvm.samples.hello;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.github.jkvm.*;
import io.github.jkvm.x86.*;
import java.util.HexFormat;

/** Runs a guest of three instructions of 16-bit code that writes a greeting to a port. */
final class HelloGuest {
    public static void main(String[] arguments) {
        byte[] code = HexFormat.of().parseHex("baf803" /* mov dx, 0x3f8 */ + "f36e" /* rep outsb */ + "f4" /* hlt */);
        byte[] greeting = "Hello from the guest!\n".getBytes(US_ASCII);
        int greetingAddress = 0x100;
        try (var hypervisor = Hypervisor.open()) {
            long start = System.nanoTime();
            var vm = hypervisor.createVm();
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(4096));
            vm.memory().write(0, code);
            vm.memory().write(greetingAddress, greeting);
            var vcpu = X86VCpu.of(vm.createVCpu(0));
            var codeSegment = Segment.realMode(0, Segment.TYPE_CODE);
            var dataSegment = Segment.realMode(0, Segment.TYPE_DATA);
            vcpu.setSpecialRegisters(vcpu.specialRegisters().withSegments(codeSegment, dataSegment));
            vcpu.setRegisters(Registers.INITIAL
                    .with(Registers.Name.RSI, greetingAddress)
                    .with(Registers.Name.RCX, greeting.length));
            long created = System.nanoTime();
            while (vcpu.run() instanceof VmExit.PortOut out) {
                System.out.writeBytes(out.data().toArray());
            }
            long ran = System.nanoTime();
            vm.close();
            double[] ms = {(created - start) / 1e6, (ran - created) / 1e6, (System.nanoTime() - ran) / 1e6};
            System.out.printf("create %.2f ms, run %.2f ms, close %.2f ms%n", ms[0], ms[1], ms[2]);
        }
    }
}
