/*
 * Process 1 of a sandbox's guest: boots it, and serves the host's requests over AF_VSOCK, each in a process of its own.
 *
 *   agent TYPE OVERLAY    as process 1: TYPE is the file system of /dev/vda, the root; what is written goes to memory, OVERLAY bytes at
 *                         most, or nowhere if that is 0
 *   agent --listen PATH   for tests: serves on a Unix socket, and touches neither clock nor entropy
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Set if this has a machine of its own. */
static bool booted;

char *text_of(const struct frame *frame)
{
	char *text = strndup((const char *)frame->payload, frame->size);

	/* A zero byte would cut it short. */
	if (!text || strlen(text) != frame->size)
		_exit(1);
	return text;
}

static void add_entropy(const uint8_t *bytes, size_t size)
{
	struct {
		struct rand_pool_info info;
		uint8_t bytes[256];
	} pool;
	int random = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	if (random < 0)
		die("/dev/urandom: %s", strerror(errno));
	pool.info.buf_size = size < sizeof(pool.bytes) ? size : sizeof(pool.bytes);
	pool.info.entropy_count = 8 * pool.info.buf_size;
	memcpy(pool.info.buf, bytes, pool.info.buf_size);
	if (ioctl(random, RNDADDENTROPY, &pool) < 0 || ioctl(random, RNDRESEEDCRNG) < 0)
		die("random numbers can't be seeded: %s", strerror(errno));
	close(random);
}

/* What a machine that goes on from a snapshot must know before anything else: the time, and random numbers that are its own. */
static void prepare(struct wire *wire, struct frame *first)
{
	uint8_t version[4];

	if (first->size <= 12)
		_exit(1);
	if (booted) {
		struct timespec now = {.tv_sec = get_u64(first->payload), .tv_nsec = get_u32(first->payload + 8)};

		clock_settime(CLOCK_REALTIME, &now);
		add_entropy(first->payload + 12, first->size - 12);
	}
	put_u32(version, VERSION);
	send_frame(wire, READY, version, sizeof(version));
}

static void serve(int connection)
{
	static struct wire wire;
	struct frame first;

	wire.fd = connection;
	if (!read_frame(&wire, &first))
		return;
	switch (first.type) {
	case PREPARE:
		prepare(&wire, &first);
		break;
	case PUT:
		put_files(&wire, &first);
		break;
	case GET:
		get_files(&wire, &first);
		break;
	case NETWORK:
		join_network(&wire, &first);
		break;
	default:
		run_command(&wire, &first);
	}
	/* The host closes first: what was sent is read by then. */
	shutdown(connection, SHUT_WR);
	while (read_frame(&wire, &first))
		;
}

static void accept_one(int listener)
{
	sigset_t none;
	int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (connection < 0)
		return;
	if (fork() == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_IGN);
		serve(connection);
		_exit(0);
	}
	close(connection);
}

/* Takes connections, and the ends of all processes that no one else waits for. */
__attribute__((noreturn)) static void loop(int listener)
{
	sigset_t children;
	struct signalfd_siginfo ignored;

	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	struct pollfd events[] = {{.fd = listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	if (signals < 0)
		die("signalfd: %s", strerror(errno));
	for (;;) {
		if (poll(events, 2, -1) < 0)
			continue;
		if (read(signals, &ignored, sizeof(ignored)) > 0)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
		if (events[0].revents)
			accept_one(listener);
	}
}

static int listen_for_host(void)
{
	struct sockaddr_vm here = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = AGENT_PORT};
	struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = READY_PORT};
	int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int call = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(listener, 128) < 0)
		die("can't listen on port %d of AF_VSOCK: %s", AGENT_PORT, strerror(errno));
	/* Tells the host that the agent is there. */
	if (call < 0 || connect(call, (struct sockaddr *)&host, sizeof(host)) < 0)
		die("can't connect to the host: %s", strerror(errno));
	close(call);
	return listener;
}

static int listen_at(const char *path)
{
	struct sockaddr_un here = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(here.sun_path, sizeof(here.sun_path), "%s", path);
	if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(listener, 128) < 0)
		die("can't listen at %s: %s", path, strerror(errno));
	return listener;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--listen"))
		loop(listen_at(argv[2]));
	if (getpid() != 1)
		die("not process 1; --listen PATH serves on a Unix socket");
	booted = true;
	boot(argc, argv);
	loop(listen_for_host());
}
