package io.github.jkvm.samples.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;

/**
 * A guest program of two hundred bytes that hands a number to the host: {@code exit-vm NUMBER} waits until the terminal on its stdout has sent
 * everything, and writes NUMBER to an I/O port.
 *
 * <p>Busybox can't write to ports by itself, and {@code /dev/port} is not part of every kernel: Debian's cloud kernels lack it.
 */
final class ExitProgram {
    /**
     * The program; the four bytes {@code 34 12 00 00} stand for the port. System call numbers: Linux,
     * arch/x86/entry/syscalls/syscall_64.tbl. TCSBRK with a non-zero argument is tcdrain(3): ioctl_tty(2).
     */
    private static final String CODE = """
            31 db             xor   ebx, ebx
            48 8b 74 24 10    mov   rsi, [rsp + 16]    # argv[1]
            0f b6 06          movzx eax, byte [rsi]    # next digit:
            2c 30             sub   al, '0'
            72 0a             jb    end
            6b db 0a          imul  ebx, ebx, 10
            01 c3             add   ebx, eax
            48 ff c6          inc   rsi
            eb ef             jmp   next digit
            b8 10 00 00 00    mov   eax, 16            # end: ioctl(1, TCSBRK, 1)
            bf 01 00 00 00    mov   edi, 1
            be 09 54 00 00    mov   esi, 0x5409
            ba 01 00 00 00    mov   edx, 1
            0f 05             syscall
            b8 ad 00 00 00    mov   eax, 173           # ioperm(port, 1, 1)
            bf 34 12 00 00    mov   edi, port
            be 01 00 00 00    mov   esi, 1
            ba 01 00 00 00    mov   edx, 1
            0f 05             syscall
            ba 34 12 00 00    mov   edx, port
            89 d8             mov   eax, ebx
            ee                out   dx, al
            b8 3c 00 00 00    mov   eax, 60            # exit(1): reached only if nothing is at the port
            bf 01 00 00 00    mov   edi, 1
            0f 05             syscall
            """;

    private static final int PORT_IN_CODE = 0x1234;
    private static final int CODE_COLUMNS = 18;

    // ELF-64 Object File Format, "ELF Header" and "Program Header".
    private static final int ELF_HEADER_SIZE = 64;
    private static final int PROGRAM_HEADER_SIZE = 56;
    private static final long LOAD_ADDRESS = 0x40_0000;
    private static final short ET_EXEC = 2;
    private static final short EM_X86_64 = 62;
    private static final int EV_CURRENT = 1;
    private static final int PT_LOAD = 1;
    private static final int PF_R_X = 4 | 1;
    private static final int PAGE = 4096;

    private ExitProgram() {}

    /**
     * Returns the program as an ELF file.
     *
     * @param port where it writes, 0 to 0xffff
     */
    static byte[] elf(int port) {
        byte[] code = code(port);
        int start = ELF_HEADER_SIZE + PROGRAM_HEADER_SIZE;
        ByteBuffer file = ByteBuffer.allocate(start + code.length).order(ByteOrder.LITTLE_ENDIAN);
        file.put(HexFormat.of().parseHex("7f454c46" + "02" + "01" + "01")); // magic, 64 bits, little-endian, version
        file.position(16);
        file.putShort(ET_EXEC).putShort(EM_X86_64).putInt(EV_CURRENT);
        file.putLong(LOAD_ADDRESS + start); // entry point
        file.putLong(ELF_HEADER_SIZE).putLong(0).putInt(0); // program headers, no section headers, no flags
        file.putShort((short) ELF_HEADER_SIZE)
                .putShort((short) PROGRAM_HEADER_SIZE)
                .putShort((short) 1);
        file.position(ELF_HEADER_SIZE);
        file.putInt(PT_LOAD).putInt(PF_R_X);
        file.putLong(0).putLong(LOAD_ADDRESS).putLong(LOAD_ADDRESS); // the whole file, at its address
        file.putLong(file.capacity()).putLong(file.capacity()).putLong(PAGE);
        return file.put(code).array();
    }

    private static byte[] code(int port) {
        if (port < 0 || port > 0xFFFF) {
            throw new IllegalArgumentException("port 0x" + Integer.toHexString(port) + " is not within 0 to 0xffff");
        }
        StringBuilder digits = new StringBuilder();
        CODE.lines().forEach(line -> digits.append(line, 0, CODE_COLUMNS));
        byte[] code = HexFormat.of().parseHex(digits.toString().replace(" ", ""));
        ByteBuffer bytes = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at <= code.length - Integer.BYTES; at++) {
            if (bytes.getInt(at) == PORT_IN_CODE) {
                bytes.putInt(at, port);
            }
        }
        return code;
    }
}
