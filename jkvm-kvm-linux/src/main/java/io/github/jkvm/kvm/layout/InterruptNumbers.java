package io.github.jkvm.kvm.layout;

/** Numbers of interrupt routes and of the file descriptors for interrupts (Linux, include/uapi/linux/kvm.h). */
public final class InterruptNumbers {
    /** Type of a route: a pin of a controller. */
    public static final int KVM_IRQ_ROUTING_IRQCHIP = 1;

    /** Type of a route: a message. */
    public static final int KVM_IRQ_ROUTING_MSI = 2;

    /** Type of a route: a synthetic interrupt of Hyper-V. */
    public static final int KVM_IRQ_ROUTING_HV_SINT = 4;

    /** Type of a route: an event channel of Xen. */
    public static final int KVM_IRQ_ROUTING_XEN_EVTCHN = 5;

    /** Flag: take the descriptor away. */
    public static final int KVM_IRQFD_FLAG_DEASSIGN = 1 << 0;

    /** Flag: {@code resamplefd} is signalled when the guest ends the interrupt. */
    public static final int KVM_IRQFD_FLAG_RESAMPLE = 1 << 1;

    /** Flag: compare what is written. */
    public static final int KVM_IOEVENTFD_FLAG_DATAMATCH = 1 << 0;

    /** Flag: a port, not an address. */
    public static final int KVM_IOEVENTFD_FLAG_PIO = 1 << 1;

    /** Flag: take the descriptor away. */
    public static final int KVM_IOEVENTFD_FLAG_DEASSIGN = 1 << 2;

    /** Flag of a message: the device id is valid. */
    public static final int KVM_MSI_VALID_DEVID = 1 << 0;

    /** Type of device: the second version of Arm's interrupt controller. */
    public static final int KVM_DEV_TYPE_ARM_VGIC_V2 = 5;

    /** Type of device: the third version of Arm's interrupt controller. */
    public static final int KVM_DEV_TYPE_ARM_VGIC_V3 = 7;

    private InterruptNumbers() {}
}
