package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.Struct.struct;
import static io.github.jkvm.kvm.layout.Struct.u32;
import static io.github.jkvm.kvm.layout.Struct.u64;
import static io.github.jkvm.kvm.layout.Struct.u8;
import static io.github.jkvm.kvm.layout.Struct.union;
import static io.github.jkvm.kvm.layout.Struct.unnamedUnion;

/** Interrupt lines, routes and file descriptors that raise interrupts or are rung (Linux, include/uapi/linux/kvm.h). */
public final class InterruptStructs {
    /** {@code struct kvm_irq_level}. */
    public static final Struct KVM_IRQ_LEVEL =
            Struct.of("kvm_irq_level", unnamedUnion(u32("irq"), u32("status")), u32("level"));

    /** {@code struct kvm_irq_routing_irqchip}. */
    public static final Struct KVM_IRQ_ROUTING_IRQCHIP =
            Struct.of("kvm_irq_routing_irqchip", u32("irqchip"), u32("pin"));

    /** {@code struct kvm_irq_routing_msi}. */
    public static final Struct KVM_IRQ_ROUTING_MSI = Struct.of(
            "kvm_irq_routing_msi",
            u32("address_lo"),
            u32("address_hi"),
            u32("data"),
            unnamedUnion(u32("pad"), u32("devid")));

    /** {@code struct kvm_irq_routing_hv_sint}. */
    public static final Struct KVM_IRQ_ROUTING_HV_SINT = Struct.of("kvm_irq_routing_hv_sint", u32("vcpu"), u32("sint"));

    /** {@code struct kvm_irq_routing_xen_evtchn}. */
    public static final Struct KVM_IRQ_ROUTING_XEN_EVTCHN =
            Struct.of("kvm_irq_routing_xen_evtchn", u32("port"), u32("vcpu"), u32("priority"));

    /** {@code struct kvm_irq_routing_entry}. */
    public static final Struct KVM_IRQ_ROUTING_ENTRY = Struct.of(
            "kvm_irq_routing_entry",
            u32("gsi"),
            u32("type"),
            u32("flags"),
            u32("pad"),
            union(
                    "u",
                    struct("irqchip", KVM_IRQ_ROUTING_IRQCHIP),
                    struct("msi", KVM_IRQ_ROUTING_MSI),
                    struct("hv_sint", KVM_IRQ_ROUTING_HV_SINT),
                    struct("xen_evtchn", KVM_IRQ_ROUTING_XEN_EVTCHN),
                    u32("pad", 8)));

    /** {@code struct kvm_irq_routing}. */
    public static final Struct KVM_IRQ_ROUTING =
            Struct.of("kvm_irq_routing", u32("nr"), u32("flags"), struct("entries", 0, KVM_IRQ_ROUTING_ENTRY));

    /** {@code struct kvm_msi}. */
    public static final Struct KVM_MSI = Struct.of(
            "kvm_msi", u32("address_lo"), u32("address_hi"), u32("data"), u32("flags"), u32("devid"), u8("pad", 12));

    /** {@code struct kvm_irqfd}. */
    public static final Struct KVM_IRQFD =
            Struct.of("kvm_irqfd", u32("fd"), u32("gsi"), u32("flags"), u32("resamplefd"), u8("pad", 16));

    /** {@code struct kvm_ioeventfd}. */
    public static final Struct KVM_IOEVENTFD = Struct.of(
            "kvm_ioeventfd", u64("datamatch"), u64("addr"), u32("len"), u32("fd"), u32("flags"), u8("pad", 36));

    /** {@code struct kvm_signal_mask}. */
    public static final Struct KVM_SIGNAL_MASK = Struct.of("kvm_signal_mask", u32("len"), u8("sigset", 0));

    private InterruptStructs() {}
}
