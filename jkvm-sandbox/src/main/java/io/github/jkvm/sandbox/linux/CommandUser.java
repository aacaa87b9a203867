package io.github.jkvm.sandbox.linux;

/** Who a command runs as. */
public sealed interface CommandUser {
    /** The user and the group 0. */
    CommandUser ROOT = new Numbers(0, 0);

    /**
     * A user and a group of which nothing need be known, and no other groups.
     *
     * @param uid the user's number
     * @param gid the group's number
     */
    record Numbers(int uid, int gid) implements CommandUser {}

    /**
     * A user that the guest's {@code /etc/passwd} tells of, in groups that its {@code /etc/group} tells of (OCI image-spec 1.1, config.md).
     *
     * @param text {@code user} or {@code user:group}, each a name or a number
     */
    record Named(String text) implements CommandUser {}
}
