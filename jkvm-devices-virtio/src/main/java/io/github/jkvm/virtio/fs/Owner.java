package io.github.jkvm.virtio.fs;

/**
 * Who makes a file in the guest.
 *
 * @param user the user's number
 * @param group the group's number
 */
record Owner(int user, int group) {}
