package io.github.jkvm.x86;

/**
 * An extended control register ({@code struct kvm_xcr}).
 *
 * @param index which; 0 says what state {@code xsave} handles
 * @param value its value
 */
public record Xcr(int index, long value) {}
