package io.github.jkvm.x86;

/**
 * What the guest's {@code cpuid} instruction answers to one question ({@code struct kvm_cpuid_entry2}).
 *
 * @param function the leaf, asked for in EAX, unsigned
 * @param index the sub-leaf, asked for in ECX, unsigned
 * @param flags bit 0 is set if the sub-leaf matters ({@code KVM_CPUID_FLAG_SIGNIFCANT_INDEX})
 * @param eax answer in EAX
 * @param ebx answer in EBX
 * @param ecx answer in ECX
 * @param edx answer in EDX
 */
public record CpuidEntry(int function, int index, int flags, int eax, int ebx, int ecx, int edx) {
    /** Flag: the entry answers its sub-leaf only. */
    public static final int FLAG_SIGNIFICANT_INDEX = 1;

    /**
     * Returns the entry with other answers.
     *
     * @param newEax answer in EAX
     * @param newEbx answer in EBX
     * @param newEcx answer in ECX
     * @param newEdx answer in EDX
     * @return a new entry
     */
    public CpuidEntry withAnswer(int newEax, int newEbx, int newEcx, int newEdx) {
        return new CpuidEntry(function, index, flags, newEax, newEbx, newEcx, newEdx);
    }

    /** Returns leaf, sub-leaf and answers in hexadecimal. */
    @Override
    public String toString() {
        return String.format("cpuid %08x.%x: eax %08x ebx %08x ecx %08x edx %08x", function, index, eax, ebx, ecx, edx);
    }
}
