package io.github.jkvm.it.machine;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import java.util.HexFormat;

/** Guests of a few instructions, in machine code. */
final class Guests {
    static final long LOAD = 0x1000;

    /** Where guests that leave something in memory leave it. */
    static final long RESULT = 0x2000;

    /** Prints "Hi" on COM1, then gives the exit code 7. */
    static final FlatImage HELLO = real("""
            ba f8 03        mov dx, 3f8
            b0 48 ee        mov al, 'H'; out dx, al
            b0 69 ee        mov al, 'i'; out dx, al
            ba 01 05        mov dx, 501
            b0 07 ee        mov al, 7; out dx, al
            f4              hlt""");

    static final FlatImage HALT = real("f4 hlt");

    static final FlatImage SPIN = real("eb fe jmp $");

    /** Counts up the double word at RESULT. */
    static final FlatImage COUNT = real("""
            66 ff 06 00 20  inc dword [2000]
            eb f9           jmp start""");

    /** Raises an exception in protected mode, which is entered with an empty interrupt table. */
    static final FlatImage TRIPLE_FAULT =
            FlatImage.of(assemble("0f 0b ud2"), GuestAddress.of(LOAD), EntryMode.PROTECTED32);

    /** Jumps to where no memory is. */
    static final FlatImage LOST = real("ea 00 00 00 e0 jmp e000:0000");

    /** Reads a byte of port 700. */
    static final FlatImage READ_PORT_700 = real("""
            ba 00 07        mov dx, 700
            ec              in al, dx
            f4              hlt""");

    /** Sets the byte at RESULT + its APIC id. */
    static final FlatImage MARK_APIC_ID = real("""
            66 b8 01 00 00 00  mov eax, 1
            0f a2              cpuid
            66 c1 eb 18        shr ebx, 24
            c6 87 00 20 01     mov byte [bx + 2000], 1
            f4                 hlt""");

    /** Sends back what it receives on COM1, until an ESC. */
    static final FlatImage ECHO = real("""
            ba fd 03        mov dx, 3fd
            ec              again: in al, dx
            a8 01           test al, 1
            74 fb           jz again
            ba f8 03        mov dx, 3f8
            ec              in al, dx
            3c 1b           cmp al, ESC
            74 03           jz end
            ee              out dx, al
            eb ed           jmp start
            f4              end: hlt""");

    /** Waits for ever, on a board whose interrupts it has switched off. */
    static final FlatImage PC_WAIT = flat32("f4 hlt  eb fd jmp start");

    /** Writes PM1a control: SLP_TYP 5, SLP_EN. */
    static final FlatImage PC_POWER_OFF =
            flat32("66 ba 04 06 mov dx, 604  66 b8 00 34 mov ax, 3400  66 ef out dx, ax  f4 hlt");

    /** Waits for the power button's status bit, then switches off. */
    static final FlatImage PC_POWER_BUTTON = flat32("""
            66 ba 00 06     mov dx, 600
            66 ed           again: in ax, dx
            f6 c4 01        test ah, 1
            74 f9           jz again
            66 ba 04 06     mov dx, 604
            66 b8 00 34     mov ax, 3400
            66 ef           out dx, ax
            f4              hlt""");

    static final FlatImage PC_RESET = flat32("66 ba f9 0c mov dx, cf9  b0 06 mov al, 6  ee out dx, al  f4 hlt");

    static final FlatImage PC_KEYBOARD_RESET = flat32("b0 fe mov al, fe  e6 64 out 64, al  f4 hlt");

    static final FlatImage PC_PANIC = flat32("66 ba 05 05 mov dx, 505  b0 01 mov al, 1  ee out dx, al  f4 hlt");

    private Guests() {}

    private static FlatImage real(String listing) {
        return FlatImage.of(assemble(listing), GuestAddress.of(LOAD), EntryMode.REAL16);
    }

    private static FlatImage flat32(String listing) {
        return FlatImage.of(assemble(listing), GuestAddress.of(0x10_0000), EntryMode.PROTECTED32);
    }

    /** Takes the pairs of hexadecimal digits that begin each instruction; the text after them is for people. */
    private static byte[] assemble(String listing) {
        var bytes = new StringBuilder();
        for (String line : listing.split("\n|  (?=[0-9a-f]{2} )", -1)) {
            for (String word : line.strip().split("\\s+", -1)) {
                if (!word.matches("[0-9a-f]{2}")) {
                    break;
                }
                bytes.append(word);
            }
        }
        return HexFormat.of().parseHex(bytes);
    }
}
