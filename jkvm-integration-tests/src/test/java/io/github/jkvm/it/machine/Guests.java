package io.github.jkvm.it.machine;

import static io.github.jkvm.testkit.asm.Mem.bytePtr;
import static io.github.jkvm.testkit.asm.Mem.dwordPtr;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg16.BX;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EBX;
import static io.github.jkvm.testkit.asm.Reg8.AH;
import static io.github.jkvm.testkit.asm.Reg8.AL;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import io.github.jkvm.machine.device.DebugExit;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import java.util.function.Consumer;

/** Guests of a few instructions for machines. */
final class Guests {
    static final long LOAD = 0x1000;

    /** Where guests that leave something in memory leave it. */
    static final long RESULT = 0x2000;

    private static final long LOAD_32 = 0x10_0000;
    private static final int COM1 = 0x3F8;
    private static final int ESCAPE = 0x1B;

    /** Prints "Hi" on COM1, then gives the exit code 7. */
    static final FlatImage HELLO = real(code -> {
        code.mov(DX, COM1).mov(AL, 'H').out(DX, AL).mov(AL, 'i').out(DX, AL);
        code.mov(DX, DebugExit.PORT).mov(AL, 7).out(DX, AL).hlt();
    });

    static final FlatImage HALT = real(Assembler::hlt);

    static final FlatImage SPIN = real(code -> code.jmp(code.here("forever")));

    /** Counts up the double word at RESULT. */
    static final FlatImage COUNT = real(code -> {
        Label start = code.here("start");
        code.inc(dwordPtr(mem(RESULT))).jmp(start);
    });

    /** Raises an exception in protected mode, which is entered with an empty interrupt table. */
    static final FlatImage TRIPLE_FAULT = image(Mode.BITS32, LOAD, EntryMode.PROTECTED32, Assembler::ud2);

    /** Jumps to where no memory is. */
    static final FlatImage LOST = real(code -> code.jmpFar16(0xE000, 0));

    /** Reads a byte of port 0x700. */
    static final FlatImage READ_PORT_700 =
            real(code -> code.mov(DX, 0x700).in(AL, DX).hlt());

    /** Sets the byte at RESULT + its APIC id. */
    static final FlatImage MARK_APIC_ID = real(code -> code.mov(EAX, 1)
            .cpuid()
            .shr(EBX, 24)
            .mov(bytePtr(mem(BX, RESULT)), 1)
            .hlt());

    /** Sends back what it receives on COM1, until an ESC. */
    static final FlatImage ECHO = real(code -> {
        Label end = code.label("end");
        Label start = code.here("start");
        code.mov(DX, COM1 + 5);
        Label again = code.here("again");
        code.in(AL, DX).test(AL, 1).jz(again);
        code.mov(DX, COM1).in(AL, DX).cmp(AL, ESCAPE).jz(end);
        code.out(DX, AL).jmp(start);
        code.bind(end).hlt();
    });

    /** Waits for ever, on a board whose interrupts it has switched off. */
    static final FlatImage PC_WAIT = flat32(code -> {
        Label start = code.here("start");
        code.hlt().jmp(start);
    });

    static final FlatImage PC_POWER_OFF = flat32(Guests::powerOff);

    /** Waits for the power button's status bit, then switches off. */
    static final FlatImage PC_POWER_BUTTON = flat32(code -> {
        code.mov(DX, 0x600);
        Label again = code.here("again");
        code.in(AX, DX).test(AH, 1).jz(again);
        powerOff(code);
    });

    static final FlatImage PC_RESET =
            flat32(code -> code.mov(DX, 0xCF9).mov(AL, 6).out(DX, AL).hlt());

    static final FlatImage PC_KEYBOARD_RESET =
            flat32(code -> code.mov(AL, 0xFE).out(0x64, AL).hlt());

    static final FlatImage PC_PANIC =
            flat32(code -> code.mov(DX, 0x505).mov(AL, 1).out(DX, AL).hlt());

    private Guests() {}

    /** Writes PM1a control: SLP_TYP 5, SLP_EN. */
    private static void powerOff(Assembler code) {
        code.mov(DX, 0x604).mov(AX, 0x3400).out(DX, AX).hlt();
    }

    private static FlatImage real(Consumer<Assembler> program) {
        return image(Mode.BITS16, LOAD, EntryMode.REAL16, program);
    }

    private static FlatImage flat32(Consumer<Assembler> program) {
        return image(Mode.BITS32, LOAD_32, EntryMode.PROTECTED32, program);
    }

    private static FlatImage image(Mode mode, long address, EntryMode entry, Consumer<Assembler> program) {
        return FlatImage.of(assemble(mode, address, program), GuestAddress.of(address), entry);
    }

    static byte[] assemble(Mode mode, long address, Consumer<Assembler> program) {
        Assembler code = new Assembler(mode, address);
        program.accept(code);
        return code.assemble().bytes();
    }
}
