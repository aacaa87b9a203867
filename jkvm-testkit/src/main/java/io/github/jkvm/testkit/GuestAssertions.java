package io.github.jkvm.testkit;

/**
 * Where assertions on guests begin. Imported statically beside AssertJ's own:
 *
 * <p>{@snippet lang = java :
 * import static io.github.jkvm.testkit.GuestAssertions.assertThat;
 * }
 */
public final class GuestAssertions {
    private GuestAssertions() {}

    /**
     * Begins assertions on a guest.
     *
     * @param guest the guest
     * @return the assertions
     */
    public static GuestAssert assertThat(MicroGuest guest) {
        return new GuestAssert(guest);
    }
}
