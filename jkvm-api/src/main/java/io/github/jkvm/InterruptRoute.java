package io.github.jkvm;

/** What one interrupt number means: a pin of an interrupt controller, or a message. See {@link Vm#setInterruptRoutes}. */
public sealed interface InterruptRoute {

    /**
     * Returns the number that is routed.
     *
     * @return the global system interrupt (GSI), 0 or more
     */
    int gsi();

    /**
     * An input pin of a controller inside the hypervisor. One GSI may have a pin on several controllers.
     *
     * @param gsi the number that is routed
     * @param controller the controller ({@code KVM_IRQCHIP_*}; on x86 0 and 1 are the 8259s, 2 is the IOAPIC)
     * @param pin the controller's input, from 0
     */
    record Pin(int gsi, int controller, int pin) implements InterruptRoute {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if one is negative
         */
        public Pin {
            if (gsi < 0 || controller < 0 || pin < 0) {
                throw new IllegalArgumentException("route of GSI " + gsi + " to controller " + controller + " pin "
                        + pin + ": none may be negative");
            }
        }
    }

    /**
     * A message-signalled interrupt.
     *
     * @param gsi the number that is routed
     * @param address where the message is written, unsigned
     * @param data what is written
     */
    record Message(int gsi, long address, int data) implements InterruptRoute {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if the GSI is negative
         */
        public Message {
            if (gsi < 0) {
                throw new IllegalArgumentException(
                        "route of GSI " + gsi + " to a message: the GSI may not be negative");
            }
        }
    }
}
