package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Bytes;
import io.github.jkvm.x86.Registers;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * A guest in two forms that do the same: 16-bit code for a processor, and a program for the scripted hypervisor.
 *
 * @param code the code, which begins at {@link ContractGuest#CODE}
 * @param program the program
 */
public record PairedGuest(Bytes code, GuestProgram program) {
    /** Port that guests write when they want the test to look. */
    static final int REPORT = 0x80;

    /** Where guests reach for memory that a test may have put there or not. */
    static final long ELSEWHERE = 0x2_0000;

    static final int DOORBELL_PORT = 0x510;
    static final long DOORBELL_MMIO = 0xD000_0000L;

    /** Where the 8259s put their interrupts (Intel 8259A data sheet, ICW2). */
    static final int PIC_BASE = 0x20;

    static final int MSR = 0x4B00_1234;

    static final PairedGuest HALT = of("f4", ScriptedGuest::halt);

    /** Jumps to itself. */
    static final PairedGuest TIGHT_LOOP = of("ebfe", ScriptedGuest::spin);

    /** Writes port 0x10 for ever. */
    static final PairedGuest OUT_LOOP = of(
            "e610" // out 0x10, al
                    + "ebfc", // jmp to it
            guest -> {
                while (true) {
                    guest.portOut(0x10, 1, 0);
                }
            });

    static final PairedGuest PORTS = of(
            "b041" // mov al, 0x41
                    + "e610" // out 0x10, al
                    + "e411" // in al, 0x11
                    + "e612" // out 0x12, al
                    + "baf803" // mov dx, 0x3f8
                    + "b83412" // mov ax, 0x1234
                    + "ef" // out dx, ax
                    + "ed" // in ax, dx
                    + "e714" // out 0x14, ax
                    + "f4",
            guest -> {
                guest.portOut(0x10, 1, 0x41);
                guest.portOut(0x12, 1, guest.portIn(0x11, 1));
                guest.portOut(0x3F8, 2, 0x1234);
                guest.portOut(0x14, 2, guest.portIn(0x3F8, 2));
                guest.halt();
            });

    /** Reads port 0x11, and writes what it read to port 0x12. */
    static final PairedGuest ECHO = of(
            "e411" // in al, 0x11
                    + "e612" // out 0x12, al
                    + "f4",
            guest -> {
                guest.portOut(0x12, 1, guest.portIn(0x11, 1));
                guest.halt();
            });

    static final PairedGuest MMIO = of(
            "b80020" // mov ax, 0x2000
                    + "67a004000200" // mov al, [0x20004]
                    + "67a308000200" // mov [0x20008], ax
                    + "6667a110000200" // mov eax, [0x20010]
                    + "6667a320000200" // mov [0x20020], eax
                    + "f4",
            guest -> {
                guest.store(0x20008, 2, 0x2000 | guest.load(0x20004, 1));
                guest.store(0x20020, 4, guest.load(0x20010, 4));
                guest.halt();
            });

    /** Reads a number that lies on two pages without memory. */
    static final PairedGuest TWO_PAGES = of(
            "67a1ff0f0200" // mov ax, [0x20fff]
                    + "e712" // out 0x12, ax
                    + "f4",
            guest -> {
                guest.portOut(0x12, 2, guest.load(0x20FFF, 2));
                guest.halt();
            });

    /** Reads 5 bytes from port 0x20 to memory at 0x100 and writes the first 4 back, by string instructions. */
    static final PairedGuest STRINGS = of(
            "ba2000" // mov dx, 0x20
                    + "bf0001" // mov di, 0x100
                    + "b90500" // mov cx, 5
                    + "f36c" // rep insb
                    + "be0001" // mov si, 0x100
                    + "b90200" // mov cx, 2
                    + "f36f" // rep outsw
                    + "f4",
            guest -> {
                byte[] read = guest.portIn(0x20, 1, 5).toArray();
                guest.memory().write(0x100, read);
                guest.portOut(0x20, 2, Bytes.copyOf(Arrays.copyOf(read, 4)));
                guest.halt();
            });

    /** Counts up what it reads from port 0x11. */
    static final PairedGuest INCREMENT = of(
            "b80000" // mov ax, 0
                    + "e411" // in al, 0x11
                    + "40" // inc ax
                    + "f4",
            guest -> {
                guest.setRegisters(guest.registers().with(Registers.Name.RAX, 0));
                guest.portIn(0x11, 1);
                var registers = guest.registers();
                guest.setRegisters(registers.with(Registers.Name.RAX, registers.rax() + 1));
                guest.halt();
            });

    static final PairedGuest TRIPLE_FAULT = of(
            "0f011e0002" // lidt [0x200]: six zero bytes, so no vector is inside the limit
                    + "0f0b", // ud2
            ScriptedGuest::shutdown);

    /** Writes 0x42 to memory elsewhere, and reports what is there then. */
    static final PairedGuest STORE_ELSEWHERE = of(
            "b042" // mov al, 0x42
                    + "67a200000200" // mov [0x20000], al
                    + "67a000000200" // mov al, [0x20000]
                    + "e680" // out REPORT, al
                    + "f4",
            guest -> {
                guest.store(ELSEWHERE, 1, 0x42);
                guest.portOut(REPORT, 1, guest.load(ELSEWHERE, 1));
                guest.halt();
            });

    static final PairedGuest MSRS = of(
            "66b93412004b" // mov ecx, MSR
                    + "0f32" // rdmsr
                    + "e710" // out 0x10, ax
                    + "0f30" // wrmsr
                    + "f4",
            guest -> {
                long read = guest.readMsr(MSR).orElseThrow();
                guest.portOut(0x10, 2, read);
                guest.writeMsr(MSR, read);
                guest.halt();
            });

    /** Writes 1 and then 0xffff to the doorbell's port, reporting each, and a number to its place in memory. */
    static final PairedGuest RING = of(
            "ba1005" // mov dx, DOORBELL_PORT
                    + "b80100" // mov ax, 1
                    + "ef" // out dx, ax
                    + "b011e680" // report 0x11
                    + "b8ffff" // mov ax, 0xffff
                    + "ef" // out dx, ax
                    + "b012e680" // report 0x12
                    + "66b878563412" // mov eax, 0x12345678
                    + "6667a3000000d0" // mov [DOORBELL_MMIO], eax
                    + "b013e680" // report 0x13
                    + "f4",
            guest -> {
                guest.portOut(DOORBELL_PORT, 2, 1);
                guest.portOut(REPORT, 1, 0x11);
                guest.portOut(DOORBELL_PORT, 2, 0xFFFF);
                guest.portOut(REPORT, 1, 0x12);
                guest.store(DOORBELL_MMIO, 4, 0x1234_5678);
                guest.portOut(REPORT, 1, 0x13);
                guest.halt();
            });

    /** Waits for interrupts of lines; each reports its vector and is ended. */
    static final PairedGuest INTERRUPTED = of(
            "b011e620b020e621b004e621b001e621" // 8259: ICW1 to ICW4, vectors from PIC_BASE
                    + "b011e6a0b028e6a1b002e6a1b001e6a1" // the second 8259
                    + "b000e621b000e6a1" // no input is masked
                    + "bad004b0c0ee" // inputs 6 and 7 are level-triggered (PIIX4 data sheet, ELCR1)
                    + "b0aae680" // report that it is ready
                    + "fbf4ebfc", // sti; hlt; jmp to sti
            guest -> {
                guest.portOut(REPORT, 1, 0xAA);
                while (true) {
                    GuestInterrupt interrupt = guest.waitForInterrupt();
                    int gsi = switch (interrupt) {
                        case GuestInterrupt.Line line -> line.gsi();
                        case GuestInterrupt.Edge edge -> edge.gsi();
                        default -> throw new IllegalStateException("unexpected " + interrupt);
                    };
                    guest.portOut(REPORT, 1, PIC_BASE + gsi);
                    guest.endInterrupt(interrupt);
                }
            });

    private static PairedGuest of(String code, GuestProgram program) {
        return new PairedGuest(Bytes.copyOf(HexFormat.of().parseHex(code)), program);
    }
}
