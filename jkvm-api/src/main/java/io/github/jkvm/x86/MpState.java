package io.github.jkvm.x86;

/** What a vCPU is doing as one of several ({@code struct kvm_mp_state}), in the order of {@code KVM_MP_STATE_*}. */
public enum MpState {
    /** Running. */
    RUNNABLE,
    /** An application processor that waits for an INIT message. */
    UNINITIALIZED,
    /** Has had INIT, waits for the start-up message. */
    INIT_RECEIVED,
    /** Halted until an interrupt. */
    HALTED,
    /** Has had the start-up message. */
    SIPI_RECEIVED
}
