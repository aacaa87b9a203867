package io.github.jkvm.testkit.asm;

import static io.github.jkvm.testkit.asm.Mem.bytePtr;
import static io.github.jkvm.testkit.asm.Mem.dwordPtr;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Mem.scaled;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg16.BX;
import static io.github.jkvm.testkit.asm.Reg16.CX;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg16.SI;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EBX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg32.ESP;
import static io.github.jkvm.testkit.asm.Reg64.R9;
import static io.github.jkvm.testkit.asm.Reg64.RAX;
import static io.github.jkvm.testkit.asm.Reg64.RBX;
import static io.github.jkvm.testkit.asm.Reg64.RCX;
import static io.github.jkvm.testkit.asm.Reg64.RDX;
import static io.github.jkvm.testkit.asm.Reg8.AH;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static io.github.jkvm.testkit.asm.Reg8.BL;
import static io.github.jkvm.testkit.asm.Reg8.R8B;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.HexFormat;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is not a single encoding (those are in {@link AssemblerAgreementTest}): programs, data, labels, and what is refused how. */
class AssemblerTest {
    @Test
    void aProgramGoesThroughAllCodeSizes() {
        Assembler a = new Assembler(Mode.BITS16, 0x7C00);
        a.mov(AX, 1).mode(Mode.BITS32).mov(AX, 1).mode(Mode.BITS64).mov(AX, 1).mov(RAX, 1);
        assertThat(hex(a)).isEqualTo("b80100" + "66b80100" + "66b80100" + "48c7c001000000");
        assertThat(a.mode()).isEqualTo(Mode.BITS64);
    }

    @Test
    void aJumpIsShortUpTo127BytesAndNearBeyond() {
        assertThat(hex(jumpOver(127))).startsWith("eb7f");
        assertThat(hex(jumpOver(128))).startsWith("e980000000");
        Assembler a = new Assembler(Mode.BITS16, 0);
        Label back = a.here("back");
        a.fill(126, 0x90).jnz(back).jnz(back);
        assertThat(hex(a)).endsWith("7580" + "0f857cff");
    }

    @Test
    void aJumpMadeNearMakesOthersNear() {
        Assembler a = new Assembler(Mode.BITS32, 0);
        Label first = a.label("first");
        Label second = a.label("second");
        a.jmp(first).fill(123, 0x90).jmp(second).bind(first).fill(200, 0x90).bind(second);
        assertThat(a.assemble().size()).isEqualTo(5 + 123 + 5 + 200);
    }

    @Test
    void dataIsLittleEndianAndAddressesAreThoseOfTheLabels() {
        Assembler a = new Assembler(Mode.BITS16, 0x1000);
        Label here = a.here("here");
        a.bytes(1, -1, 255)
                .words(0x1234)
                .dwords(0x89ABCDEFL)
                .qwords(-2)
                .asciz("ok")
                .word(here)
                .dword(here)
                .qword(here);
        a.bytes(new byte[] {7}).align(8).padTo(0x1030);
        GuestCode code = a.assemble();
        assertThat(HexFormat.of().formatHex(code.bytes()))
                .isEqualTo("01ffff" + "3412" + "efcdab89" + "feffffffffffffff" + "6f6b00" + "0010" + "00100000"
                        + "0010000000000000" + "07" + "9090909090" + "0000000000000000");
        assertThat(code.origin()).isEqualTo(0x1000);
        assertThat(code.address(here)).isEqualTo(0x1000);
    }

    @Test
    void aLabelInMemoryIsRelativeIn64BitCodeAndAbsoluteElsewhere() {
        Assembler a = new Assembler(Mode.BITS64, 0x10_0000);
        Label value = a.label("value");
        a.mov(mem(value), RAX).cmp(dwordPtr(mem(value, 4)), 5).bind(value);
        assertThat(hex(a)).isEqualTo("48890507000000" + "833d0400000005");
        Assembler b = new Assembler(Mode.BITS16, 0x100);
        Label other = b.label("other");
        b.mov(mem(other), CX).lgdt(mem(other)).mov(SI, other).bind(other);
        assertThat(hex(b)).isEqualTo("890e0c01" + "0f01160c01" + "be0c01");
    }

    @Test
    void theListingShowsAddressBytesTextAndLabels() {
        Assembler a = new Assembler(Mode.BITS16, 0x7C00);
        Label again = a.here("again");
        a.mov(AL, 0x41).out(0xE9, AL).rep().movsb().jmp(again).fill(20, 0);
        GuestCode code = a.assemble();
        assertThat(code.listing()).isEqualTo("""
                again:
                00007c00  b041                                mov al, 0x41
                00007c02  e6e9                                out 0xe9, al
                00007c04  f3a4                                rep movsb
                00007c06  ebf8                                jmp again
                00007c08  00000000000000000000000000000000..  fill
                """);
        assertThat(code).hasToString(code.listing());
    }

    @Test
    void aProgramMayBeAssembledAndGoOn() {
        Assembler a = new Assembler(Mode.BITS16, 0);
        a.nop();
        GuestCode before = a.assemble();
        a.hlt();
        assertThat(before.size()).isEqualTo(1);
        assertThat(a.assemble().size()).isEqualTo(2);
    }

    @Test
    void namesTheOperandTheModeAndTheRemedyOfWhatTheCpuCannotDo() {
        refuses(Mode.BITS64, a -> a.mov(AH, R8B), "mov ah, r8b: ah cannot stand", "use al to dl");
        refuses(Mode.BITS32, a -> a.add(R9, RAX), "add r9, rax: 64-bit operands need 64-bit code, and this is BITS32");
        refuses(Mode.BITS32, a -> a.inc(R8B), "inc r8b: r8b needs 64-bit code, and this is BITS32");
        refuses(Mode.BITS64, a -> a.mov(AX, mem(BX)), "mov ax, [bx]: ", "64-bit code has no 16-bit addresses");
        refuses(Mode.BITS64, a -> a.pusha(), "pusha does not exist in 64-bit code");
        refuses(Mode.BITS64, a -> a.push(EAX), "push eax: ", "16 or 64 bits, not 32");
        refuses(Mode.BITS64, a -> a.mov(ControlReg.CR0, EAX), "64-bit registers in BITS64, not eax");
        refuses(Mode.BITS16, a -> a.mov(AL, mem(AX)), "[ax]: a 16-bit address is bx or bp");
        refuses(Mode.BITS32, a -> a.mov(EAX, mem(EBX, ESP, 2)), "esp cannot be an index");
        refuses(Mode.BITS32, a -> a.jmp(AX), "jmp ax: a near target in BITS32 has 32 bits");
        refuses(Mode.BITS32, a -> a.jmpFar16(8, 0x10000), "65536 must be from 0 to 65535");
        refuses(Mode.BITS64, a -> a.jmpFar32(8, 0), "does not exist in 64-bit code");
    }

    @Test
    void namesTheRangeOfANumberThatDoesNotFit() {
        refuses(
                Mode.BITS16,
                a -> a.mov(AL, 256),
                "mov: immediate 0x100 does not fit 8 bits; it must be from -0x80 to 0xff");
        refuses(
                Mode.BITS64,
                a -> a.add(RAX, 0x8000_0000L),
                "0x80000000 does not fit 32 bits sign-extended",
                "mov it into a register");
        refuses(
                Mode.BITS64,
                a -> a.mov(EAX, mem(0x8000_0000L)),
                "0x80000000 does not fit a 64-bit address",
                "into a register");
        refuses(Mode.BITS16, a -> a.mov(AX, mem(0x10000)), "0x10000 does not fit a 16-bit address");
        refuses(Mode.BITS16, a -> a.out(0x3F8, AL), "out: 1016 must be from 0 to 255");
        refuses(Mode.BITS16, a -> a.interrupt(256), "int: 256 must be from 0 to 255");
        refuses(Mode.BITS32, a -> a.mov(EAX, scaled(ECX, 3, 0)), "scale 3 must be 1, 2, 4 or 8");
        refuses(Mode.BITS32, a -> a.bytes(256), "bytes: immediate 0x100 does not fit 8 bits");
        refuses(Mode.BITS32, a -> a.align(3), "boundary 3 must be a power of two");
        refuses(Mode.BITS32, a -> a.fill(-1, 0), "count -1 must be from 0");
        refuses(Mode.BITS32, a -> a.ascii("\u20ac"), "beyond U+00FF");
        refuses(Mode.BITS32, a -> a.label(" "), "a name that is not blank");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Assembler(Mode.BITS16, -1))
                .withMessageContaining("origin -0x1");
    }

    @Test
    void namesTheOnlyRegisterThatGoes() {
        refuses(Mode.BITS16, a -> a.shl(EAX, BL), "shl by bl: a count in a register must be in cl");
        refuses(Mode.BITS16, a -> a.in(AL, CX), "in with port cx: a port in a register must be in dx");
        refuses(Mode.BITS16, a -> a.out(DX, BL), "out with bl: ports move to and from al, ax and eax only");
        refuses(Mode.BITS16, a -> a.mov(SegReg.CS, AX), "mov cannot load cs; use jmpFar16");
        refuses(Mode.BITS64, a -> a.movabs(RCX, 0), "movabs rcx: ", "for al, ax, eax and rax only");
        refuses(Mode.BITS64, a -> a.movzx(EAX, ECX), "movzx eax, ecx: ", "movsxd");
    }

    @Test
    void aPrefixGoesOnlyWhereTheCpuTakesIt() {
        refuses(Mode.BITS64, a -> a.lock().add(RAX, RDX), "LOCK cannot stand before add rax, rdx");
        refuses(Mode.BITS64, a -> a.lock().cmp(mem(RBX), RDX), "LOCK cannot stand before cmp [rbx], rdx");
        refuses(Mode.BITS64, a -> a.rep().nop(), "REP cannot stand before nop");
        refuses(Mode.BITS64, a -> a.repne().movsb(), "REPNE cannot stand before movsb");
        Assembler a = new Assembler(Mode.BITS64, 0);
        assertThatIllegalStateException()
                .isThrownBy(() -> a.lock().rep())
                .withMessageContaining("LOCK stands before REP");
        Assembler b = new Assembler(Mode.BITS64, 0).rep();
        assertThatIllegalStateException()
                .isThrownBy(b::assemble)
                .withMessageContaining("REP stands before the end of the program");
        assertThatIllegalStateException().isThrownBy(() -> b.bytes(1)).withMessageContaining("REP stands before");
        assertThat(hex(new Assembler(Mode.BITS32, 0).lock().inc(bytePtr(mem(EBX)))))
                .isEqualTo("f0fe03");
    }

    @Test
    void namesTheLabelThatHasNoPlaceOrTwo() {
        Assembler a = new Assembler(Mode.BITS16, 0);
        Label end = a.label("the end");
        a.jmp(end);
        assertThatIllegalStateException()
                .isThrownBy(a::assemble)
                .withMessageContaining("label the end is used but has no place");
        a.bind(end);
        assertThatIllegalStateException()
                .isThrownBy(() -> a.bind(end))
                .withMessageContaining("label the end is bound already");
        Label foreign = new Assembler(Mode.BITS16, 0).here("foreign");
        refuses(Mode.BITS16, b -> b.jmp(foreign), "label foreign was made by another assembler");
        refuses(Mode.BITS16, b -> b.mov(AX, mem(foreign)), "label foreign was made by another assembler");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> a.assemble().address(foreign))
                .withMessageContaining("label foreign has no place");
    }

    @ParameterizedTest
    @CsvSource({"LOOP", "WORD", "MEMORY", "NEAR"})
    void namesTheLabelThatIsOutOfReach(String reach) {
        Assembler a = new Assembler(Mode.BITS16, reach.equals("NEAR") ? 0 : 0xFF00);
        Label far = a.label("far");
        switch (reach) {
            case "LOOP" -> a.loop(far);
            case "WORD" -> a.word(far);
            case "MEMORY" -> a.mov(mem(far), CX);
            default -> a.jmp(far);
        }
        a.fill(reach.equals("NEAR") ? 0x8000 : 0x100, 0x90).bind(far);
        assertThatIllegalStateException().isThrownBy(a::assemble).withMessageContaining("label far at 0x");
    }

    @Test
    void refusesPaddingBackAndProgramsTooLarge() {
        Assembler a = new Assembler(Mode.BITS16, 0x100);
        a.nop().padTo(0x100);
        assertThatIllegalStateException()
                .isThrownBy(a::assemble)
                .withMessageContaining("cannot pad to 0x100: the program is at 0x101");
        Assembler b = new Assembler(Mode.BITS64, 0).padTo(Long.MAX_VALUE);
        assertThatIllegalStateException().isThrownBy(b::assemble).withMessageContaining("larger than 67108864 bytes");
    }

    private static void refuses(Mode mode, Consumer<Assembler> instruction, String... texts) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> instruction.accept(new Assembler(mode, 0)))
                .satisfies(e -> assertThat(e).message().contains(texts));
    }

    private static Assembler jumpOver(int bytes) {
        Assembler a = new Assembler(Mode.BITS32, 0);
        Label end = a.label("end");
        return a.jmp(end).fill(bytes, 0x90).bind(end);
    }

    private static String hex(Assembler assembler) {
        return HexFormat.of().formatHex(assembler.assemble().bytes());
    }
}
