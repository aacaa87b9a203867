package io.github.jkvm.kvm;

import io.github.jkvm.kvm.ffi.OwnedFd;

/**
 * A virtual machine of KVM.
 *
 * <p>It is made of parts, each of which takes the VM's descriptor and is closed by it: {@code MemorySlots}, {@code VmInterrupts(OwnedFd vm)} and
 * {@code VmDoorbells(OwnedFd vm)} with the methods of {@code Vm} they serve, {@code EpollEventLoop(String threadName)}, and on x86
 * {@code X86VmState(OwnedFd vm)} and {@code X86VCpuState(OwnedFd vcpu)} with the methods of {@code X86Vm} and {@code X86VCpu}; the vCPU sees to it that no
 * other thread runs it and that pending accesses are finished before such a method is called.
 */
public class KvmVm implements AutoCloseable {
    private final OwnedFd vm;

    KvmVm(OwnedFd vm) {
        this.vm = vm;
    }

    @Override
    public void close() {
        vm.close();
    }
}
