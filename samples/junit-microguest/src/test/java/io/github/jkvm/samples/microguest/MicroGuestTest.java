package io.github.jkvm.samples.microguest;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg64.RSI;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.x86.Registers;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

@MicroVm
class MicroGuestTest {

    @Test
    void printsAGreeting(MicroGuest guest) {
        guest.load(code -> {
            Label text = code.label("text");
            Label done = code.label("done");
            code.mov(RSI, text).mov(DX, 0xE9);
            Label next = code.here("next");
            code.lodsb().test(AL, AL).jz(done).out(DX, AL).jmp(next);
            code.bind(done).hlt();
            code.bind(text).asciz("Hello from a guest!");
        });

        assertThat(guest).halts().hasPrinted("Hello from a guest!");
    }

    @Test
    void computesInARegister(MicroGuest guest) {
        guest.load(code -> code.mov(EAX, 6).mov(ECX, 7).imul(EAX, ECX).hlt());

        assertThat(guest).halts().hasRegister(Registers.Name.RAX, 42);
    }

    @Test
    void sumsAnArrayInC(@MicroVm(program = "sum.c") MicroGuest guest) {
        int[] numbers = {3, 5, 3, 4};
        guest.memory().writeInt(0x10_0000, numbers.length);
        for (int i = 0; i < numbers.length; i++) {
            guest.memory().writeInt(0x10_0004 + 4L * i, numbers[i]);
        }

        assertThat(guest).powersOffWith(15).hasPrinted("done");
    }

    @Test
    void crashesWithoutAnInterruptTable(MicroGuest guest) {
        guest.load(code -> code.ud2());

        assertThat(guest).tripleFaults();
    }

    @Test
    void ringsADeviceOfTheTest(MicroGuest guest) {
        List<Long> rings = new ArrayList<>();
        guest.attach(new Bell(rings));
        guest.load(code -> code.mov(DX, Bell.PORT).mov(EAX, 3).out(DX, EAX).mov(EAX, 4).out(DX, EAX).hlt());

        assertThat(guest).halts();
        assertEquals(List.of(3L, 4L), rings);
    }
}
