package io.github.jkvm.sandbox.function;

import java.util.ArrayList;
import java.util.List;

/**
 * Where in the call page the arguments of a guest's function go, from where the guest loads its registers and its stack (System V ABI, AMD64
 * supplement, 3.2.3: whole numbers and addresses in six registers, floating point in eight, bytes as two words that are both in registers or both on
 * the stack).
 *
 * @param offsets where each argument goes, in bytes
 * @param wholeNumbers how many registers for whole numbers are used
 * @param floats how many for floating point
 * @param extras how many words go on the stack
 */
public record ArgumentPlaces(List<Integer> offsets, int wholeNumbers, int floats, int extras) {
    private static final int WHOLE_REGISTERS = 6;
    private static final int FLOAT_REGISTERS = 8;

    /** Copies the offsets. */
    public ArgumentPlaces {
        offsets = List.copyOf(offsets);
    }

    /** Places the arguments of a function. */
    static ArgumentPlaces of(Signature signature) {
        int whole = 0;
        int floats = 0;
        int extras = 0;
        List<Integer> offsets = new ArrayList<>();
        for (CType type : signature.parameters()) {
            int words = type == CType.Basic.BYTES ? 2 : 1;
            boolean isFloat = type == CType.Basic.FLOAT || type == CType.Basic.DOUBLE;
            if (isFloat && floats < FLOAT_REGISTERS) {
                offsets.add(CallPage.FLOATS + Long.BYTES * floats++);
            } else if (!isFloat && whole + words <= WHOLE_REGISTERS) {
                offsets.add(CallPage.INTS + Long.BYTES * whole);
                whole += words;
            } else {
                offsets.add(CallPage.EXTRA + Long.BYTES * extras);
                extras += words;
            }
        }
        if (extras > CallPage.MAX_EXTRAS) {
            throw new BadGuestException("function '" + signature.name() + "' takes " + extras
                    + " words on the stack; the limit is " + CallPage.MAX_EXTRAS + ": put them into a record");
        }
        return new ArgumentPlaces(offsets, whole, floats, extras);
    }

    boolean onlyWholeNumbersInRegisters() {
        return floats == 0 && extras == 0;
    }

    static boolean isWholeOrNothing(CType type) {
        return type == CType.Basic.VOID
                || type == CType.Basic.BOOL
                || type == CType.Basic.INT
                || type == CType.Basic.LONG;
    }
}
