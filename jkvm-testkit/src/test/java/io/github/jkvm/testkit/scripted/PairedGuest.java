package io.github.jkvm.testkit.scripted;

import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg16.CX;
import static io.github.jkvm.testkit.asm.Reg16.DI;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg16.SI;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EBX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg8.AL;

import io.github.jkvm.Bytes;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.GuestCode;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.x86.Registers;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * A guest in two forms that do the same: 16-bit code for a processor, and a program for the scripted hypervisor.
 *
 * @param code the code, which begins at {@link ContractGuest#CODE}
 * @param program the program
 */
public record PairedGuest(GuestCode code, GuestProgram program) {
    /** Port that guests write when they want the test to look. */
    static final int REPORT = 0x80;

    /** Where guests reach for memory that a test may have put there or not. */
    static final long ELSEWHERE = 0x2_0000;

    static final int DOORBELL_PORT = 0x510;
    static final long DOORBELL_MMIO = 0xD000_0000L;

    /** Where the 8259s put their interrupts (Intel 8259A data sheet, ICW2). */
    static final int PIC_BASE = 0x20;

    static final int MSR = 0x4B00_1234;

    static final PairedGuest HALT = of(Assembler::hlt, ScriptedGuest::halt);

    /** Jumps to itself. */
    static final PairedGuest TIGHT_LOOP = of(a -> a.jmp(a.here("forever")), ScriptedGuest::spin);

    /** Writes port 0x10 for ever. */
    static final PairedGuest OUT_LOOP = of(
            a -> {
                Label again = a.here("again");
                a.out(0x10, AL).jmp(again);
            },
            guest -> {
                while (true) {
                    guest.portOut(0x10, 1, 0);
                }
            });

    static final PairedGuest PORTS = of(
            a -> {
                a.mov(AL, 0x41).out(0x10, AL).in(AL, 0x11).out(0x12, AL);
                a.mov(DX, 0x3F8).mov(AX, 0x1234).out(DX, AX);
                a.in(AX, DX).out(0x14, AX);
                a.mov(EAX, 0x8765_4321L).out(DX, EAX).hlt();
            },
            guest -> {
                guest.portOut(0x10, 1, 0x41);
                guest.portOut(0x12, 1, guest.portIn(0x11, 1));
                guest.portOut(0x3F8, 2, 0x1234);
                guest.portOut(0x14, 2, guest.portIn(0x3F8, 2));
                guest.portOut(0x3F8, 4, 0x8765_4321L);
                guest.halt();
            });

    /** Reads port 0x11, and writes what it read to port 0x12. */
    static final PairedGuest ECHO = of(a -> a.in(AL, 0x11).out(0x12, AL).hlt(), guest -> {
        guest.portOut(0x12, 1, guest.portIn(0x11, 1));
        guest.halt();
    });

    static final PairedGuest MMIO = of(
            a -> {
                a.mov(EBX, ELSEWHERE);
                a.mov(AX, 0x2000).mov(AL, mem(EBX, 4)).mov(mem(EBX, 8), AX);
                a.mov(EAX, mem(EBX, 0x10)).mov(mem(EBX, 0x20), EAX).hlt();
            },
            guest -> {
                guest.store(0x20008, 2, 0x2000 | guest.load(0x20004, 1));
                guest.store(0x20020, 4, guest.load(0x20010, 4));
                guest.halt();
            });

    /** Reads a number that lies on two pages without memory. */
    static final PairedGuest TWO_PAGES = of(
            a -> a.mov(EBX, ELSEWHERE + 0xFFF).mov(AX, mem(EBX)).out(0x12, AX).hlt(), guest -> {
                guest.portOut(0x12, 2, guest.load(0x20FFF, 2));
                guest.halt();
            });

    /** Reads 5 bytes from port 0x20 to memory at 0x100 and writes the first 4 back, by string instructions. */
    static final PairedGuest STRINGS = of(
            a -> {
                a.mov(DX, 0x20);
                a.mov(DI, 0x100).mov(CX, 5).rep().insb();
                a.mov(SI, 0x100).mov(CX, 2).rep().outsw().hlt();
            },
            guest -> {
                byte[] read = guest.portIn(0x20, 1, 5).toArray();
                guest.memory().write(0x100, read);
                guest.portOut(0x20, 2, Bytes.copyOf(Arrays.copyOf(read, 4)));
                guest.halt();
            });

    /** Counts up what it reads from port 0x11. */
    static final PairedGuest INCREMENT =
            of(a -> a.mov(AX, 0).in(AL, 0x11).inc(AX).hlt(), guest -> {
                guest.setRegisters(guest.registers().with(Registers.Name.RAX, 0));
                guest.portIn(0x11, 1);
                var registers = guest.registers();
                guest.setRegisters(registers.with(Registers.Name.RAX, registers.rax() + 1));
                guest.halt();
            });

    static final PairedGuest TRIPLE_FAULT = of(
            a -> a.lidt(mem(0x200)).ud2(), // six zero bytes, so no vector is inside the limit
            ScriptedGuest::shutdown);

    /** Writes 0x42 to memory elsewhere, and reports what is there then. */
    static final PairedGuest STORE_ELSEWHERE = of(
            a -> a.mov(EBX, ELSEWHERE)
                    .mov(AL, 0x42)
                    .mov(mem(EBX), AL)
                    .mov(AL, mem(EBX))
                    .out(REPORT, AL)
                    .hlt(),
            guest -> {
                guest.store(ELSEWHERE, 1, 0x42);
                guest.portOut(REPORT, 1, guest.load(ELSEWHERE, 1));
                guest.halt();
            });

    static final PairedGuest MSRS =
            of(a -> a.mov(ECX, MSR).rdmsr().out(0x10, AX).wrmsr().hlt(), guest -> {
                long read = guest.readMsr(MSR).orElseThrow();
                guest.portOut(0x10, 2, read);
                guest.writeMsr(MSR, read);
                guest.halt();
            });

    /** Writes 1 and then 0xffff to the doorbell's port, reporting each, and a number to its place in memory. */
    static final PairedGuest RING = of(
            a -> {
                a.mov(DX, DOORBELL_PORT).mov(AX, 1).out(DX, AX);
                a.mov(AL, 0x11).out(REPORT, AL);
                a.mov(AX, 0xFFFF).out(DX, AX);
                a.mov(AL, 0x12).out(REPORT, AL);
                a.mov(EBX, DOORBELL_MMIO).mov(EAX, 0x1234_5678).mov(mem(EBX), EAX);
                a.mov(AL, 0x13).out(REPORT, AL).hlt();
            },
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
            a -> {
                setUpPics(a);
                a.mov(AL, 0xAA).out(REPORT, AL);
                Label wait = a.here("wait");
                a.sti().hlt().jmp(wait);
            },
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

    /** ICW1 to ICW4 of both 8259s, no input masked (Intel 8259A data sheet); inputs 6 and 7 level-triggered (PIIX4 data sheet, ELCR1). */
    private static void setUpPics(Assembler a) {
        out(a, 0x20, 0x11);
        out(a, 0x21, PIC_BASE, 4, 1, 0);
        out(a, 0xA0, 0x11);
        out(a, 0xA1, PIC_BASE + 8, 2, 1, 0);
        out(a, 0x4D0, 0xC0);
    }

    private static void out(Assembler a, int port, int... values) {
        a.mov(DX, port);
        for (int value : values) {
            a.mov(AL, value).out(DX, AL);
        }
    }

    private static PairedGuest of(Consumer<Assembler> code, GuestProgram program) {
        var assembler = new Assembler(Mode.BITS16, ContractGuest.CODE);
        code.accept(assembler);
        return new PairedGuest(assembler.assemble(), program);
    }
}
