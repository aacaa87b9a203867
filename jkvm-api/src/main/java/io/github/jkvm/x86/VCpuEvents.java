package io.github.jkvm.x86;

/**
 * Exceptions, interrupts and modes on their way into a vCPU ({@code struct kvm_vcpu_events}).
 *
 * @param exceptionInjected 1 if an exception is being delivered
 * @param exceptionNumber its vector
 * @param exceptionHasErrorCode 1 if it has an error code
 * @param exceptionPending 1 if an exception waits
 * @param exceptionErrorCode its error code
 * @param interruptInjected 1 if an interrupt is being delivered
 * @param interruptNumber its vector
 * @param interruptSoft 1 if it is a software interrupt
 * @param interruptShadow blocked for one instruction: bit 0 after {@code mov ss}, bit 1 after {@code sti}
 * @param nmiInjected 1 if a non-maskable interrupt is being delivered
 * @param nmiPending number of them that wait
 * @param nmiMasked 1 if they are masked
 * @param sipiVector vector of the start-up message
 * @param flags which parts are valid ({@code KVM_VCPUEVENT_VALID_*})
 * @param smm 1 in system management mode
 * @param smmPending 1 if a system management interrupt waits
 * @param smmInsideNmi 1 if it came during a non-maskable interrupt
 * @param smmLatchedInit 1 if an INIT message waits
 * @param tripleFaultPending 1 if a triple fault waits
 * @param exceptionHasPayload 1 if the waiting exception has a payload
 * @param exceptionPayload its payload
 */
public record VCpuEvents(
        int exceptionInjected,
        int exceptionNumber,
        int exceptionHasErrorCode,
        int exceptionPending,
        int exceptionErrorCode,
        int interruptInjected,
        int interruptNumber,
        int interruptSoft,
        int interruptShadow,
        int nmiInjected,
        int nmiPending,
        int nmiMasked,
        int sipiVector,
        int flags,
        int smm,
        int smmPending,
        int smmInsideNmi,
        int smmLatchedInit,
        int tripleFaultPending,
        int exceptionHasPayload,
        long exceptionPayload) {}
