package io.github.jkvm.virtio.vhost;

/** The front end's requests and their numbers (QEMU, docs/interop/vhost-user.rst, "Front-end message types"). */
enum VhostRequest {
    GET_FEATURES(1),
    SET_FEATURES(2),
    SET_OWNER(3),
    SET_MEM_TABLE(5),
    SET_VRING_NUM(8),
    SET_VRING_ADDR(9),
    SET_VRING_BASE(10),
    GET_VRING_BASE(11),
    SET_VRING_KICK(12),
    SET_VRING_CALL(13),
    GET_PROTOCOL_FEATURES(15),
    SET_PROTOCOL_FEATURES(16),
    GET_QUEUE_NUM(17),
    SET_VRING_ENABLE(18),
    SET_BACKEND_REQUESTS_FD(21),
    GET_CONFIG(24),
    SET_CONFIG(25),
    GET_INFLIGHT_FD(31),
    SET_INFLIGHT_FD(32);

    private final int number;

    VhostRequest(int number) {
        this.number = number;
    }

    int number() {
        return number;
    }
}
