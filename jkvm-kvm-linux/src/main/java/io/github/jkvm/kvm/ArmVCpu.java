package io.github.jkvm.kvm;

import io.github.jkvm.VCpu;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.layout.ArmIoctls;
import io.github.jkvm.kvm.layout.ArmStructs;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What a vCPU of an Arm host needs before it runs (Linux, Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT). Its registers are
 * {@link KvmVCpu#oneRegisters()}.
 *
 * <p>Every method throws {@link IllegalStateException} if the vCPU is closed or another thread runs it.
 */
public final class ArmVCpu {
    private static final long TARGET = ArmStructs.KVM_VCPU_INIT.offset("target");
    private static final long FEATURES = ArmStructs.KVM_VCPU_INIT.offset("features");
    private static final int FEATURE_WORDS = (int) (ArmStructs.KVM_VCPU_INIT.size("features") / Integer.BYTES);

    private static final String NOT_ARM = "only Arm hosts have this call";
    private static final Map<Integer, String> HINTS = Map.of(
            Errno.ENOTTY, NOT_ARM,
            Errno.EINVAL, "the host does not have this target or feature, or " + NOT_ARM,
            Errno.ENOENT, "a feature is not one that the host knows",
            Errno.EPERM, "the feature was not asked for when the vCPU was initialized",
            Errno.ENODEV, "this host has no preferred target");

    private final KvmVCpu vcpu;

    private ArmVCpu(KvmVCpu vcpu) {
        this.vcpu = vcpu;
    }

    /**
     * What a vCPU is to be ({@code struct kvm_vcpu_init}).
     *
     * @param target the processor ({@code KVM_ARM_TARGET_*})
     * @param features 7 words of 32 bits, in which the bits {@code KVM_ARM_VCPU_*} ask for features
     */
    public record Target(int target, List<Integer> features) {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if there are not 7 words
         */
        public Target {
            features = List.copyOf(features);
            if (features.size() != FEATURE_WORDS) {
                throw new IllegalArgumentException(
                        "got " + features.size() + " words of features; there are " + FEATURE_WORDS);
            }
        }
    }

    /**
     * Returns the Arm calls of a vCPU.
     *
     * @param vcpu a vCPU of KVM
     * @return its calls; on another host than Arm they are all refused
     * @throws UnsupportedOperationException if it is of another hypervisor
     */
    public static ArmVCpu of(VCpu vcpu) {
        return new ArmVCpu(KvmVCpu.of(vcpu));
    }

    /**
     * Returns the processor that the host emulates best, without features ({@code KVM_ARM_PREFERRED_TARGET}).
     *
     * @return the target
     * @throws KvmException if the host is no Arm host
     */
    public Target preferredTarget() {
        return new StructCall(vcpu.vm().fd())
                .get(ArmIoctls.KVM_ARM_PREFERRED_TARGET, ArmStructs.KVM_VCPU_INIT, HINTS, struct -> {
                    List<Integer> features = new ArrayList<>();
                    for (int i = 0; i < FEATURE_WORDS; i++) {
                        features.add(struct.get(ValueLayout.JAVA_INT, FEATURES + (long) i * Integer.BYTES));
                    }
                    return new Target(struct.get(ValueLayout.JAVA_INT, TARGET), features);
                });
    }

    /**
     * Makes the vCPU a processor and resets it ({@code KVM_ARM_VCPU_INIT}).
     *
     * @param target what it is to be
     * @throws KvmException if the host refuses or is no Arm host
     */
    public void init(Target target) {
        vcpu.withState(() -> {
            new StructCall(vcpu.fd())
                    .set(ArmIoctls.KVM_ARM_VCPU_INIT, ArmStructs.KVM_VCPU_INIT, target.toString(), HINTS, struct -> {
                        struct.set(ValueLayout.JAVA_INT, TARGET, target.target());
                        for (int i = 0; i < FEATURE_WORDS; i++) {
                            struct.set(
                                    ValueLayout.JAVA_INT,
                                    FEATURES + (long) i * Integer.BYTES,
                                    target.features().get(i));
                        }
                    });
            return true;
        });
    }

    /**
     * Says that a feature's configuration is complete ({@code KVM_ARM_VCPU_FINALIZE}).
     *
     * @param feature {@code KVM_ARM_VCPU_*}, such as 4 for the scalable vector extension
     * @throws KvmException if the host refuses or is no Arm host
     */
    public void finalizeFeature(int feature) {
        vcpu.withState(() -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment argument = arena.allocateFrom(ValueLayout.JAVA_INT, feature);
                return new StructCall(vcpu.fd())
                        .call(ArmIoctls.KVM_ARM_VCPU_FINALIZE, argument, "feature " + feature, HINTS);
            }
        });
    }
}
