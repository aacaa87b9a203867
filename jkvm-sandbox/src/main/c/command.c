/* Runs one command: its streams, signals and end. */
#include "agent.h"
#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Most of what is read at once; leaves the wire to other streams. */
#define CHUNK 32768
#define MAX_STRINGS 8192

/* What the host asks for. */
struct order {
	char *arguments[MAX_STRINGS + 1];
	char *variables[MAX_STRINGS + 1];
	size_t argument_count, variable_count;
	char *directory;
	struct user user;
	/* Found only when the command is started; null if it is known by numbers. */
	char *user_name;
};

/* One of the streams that a command writes. */
struct stream {
	int fd;
	uint8_t number;
	uint8_t type;
	uint64_t credit;
	bool ended_told;
};

struct command {
	struct wire *wire;
	pid_t pid;
	int pid_fd;
	struct stream streams[2];
	/* Which of them is first to be read. */
	int turn;
	int input_fd;
	bool input_ended;
	bool deaf_told;
	size_t input_start, input_size;
	uint32_t input_credit;
	bool exited, exit_told;
	int status;
	uint8_t input[INPUT_WINDOW];
};

static bool take_order(struct wire *wire, struct frame *frame, struct order *order)
{
	do {
		switch (frame->type) {
		case ARGUMENT:
			if (order->argument_count == MAX_STRINGS)
				return false;
			order->arguments[order->argument_count++] = text_of(frame);
			break;
		case VARIABLE:
			if (order->variable_count == MAX_STRINGS)
				return false;
			order->variables[order->variable_count++] = text_of(frame);
			break;
		case DIRECTORY:
			order->directory = text_of(frame);
			break;
		case USER:
			if (frame->size != 8)
				return false;
			order->user.uid = get_u32(frame->payload);
			order->user.gid = get_u32(frame->payload + 4);
			break;
		case NAMED:
			order->user_name = text_of(frame);
			break;
		case EXECUTE:
			return order->argument_count > 0 && order->directory;
		default:
			return false;
		}
	} while (read_frame(wire, frame));
	return false;
}

/* The parts of a child's start that can fail, for messages. */
static const char *const stages[] = {"can't be the user for", "can't change to the directory for", "can't run"};

__attribute__((noreturn)) static void fail(int report, uint8_t stage)
{
	int failure[2] = {errno, stage};

	if (write(report, failure, sizeof(failure)) < 0)
		_exit(126);
	_exit(127);
}

static void join_group(void)
{
	int score = proc_folder < 0 ? -1 : openat(proc_folder, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/* When memory runs out, the kernel is to end commands and not the agent. */
	if (score >= 0 && write(score, "500", 3) < 0)
		_exit(126);
	if (commands_group >= 0 && write(commands_group, "0", 1) < 0)
		_exit(126);
}

__attribute__((noreturn)) static void become(struct order *order, int in, int out, int err, int report)
{
	struct rlimit none = {0, 0};
	sigset_t nothing;

	setsid();
	join_group();
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&nothing);
	sigprocmask(SIG_SETMASK, &nothing, NULL);
	umask(022);
	setrlimit(RLIMIT_CORE, &none);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		fail(report, 2);
	syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	const struct user *user = &order->user;
	if ((user->uid != getuid() || user->gid != getgid() || getuid() == 0)
	    && (setgroups(user->group_count, user->groups) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0))
		fail(report, 0);
	if (chdir(order->directory) < 0)
		fail(report, 1);
	environ = order->variables;
	execvpe(order->arguments[0], order->arguments, order->variables);
	fail(report, 2);
}

/* Starts the command. False if it could not be, which the host was told. */
static bool start(struct command *command, struct order *order)
{
	int in[2], out[2], err[2], report[2], failure[2];

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0
	    || (command->pid = fork()) < 0) {
		send_failure(command->wire, errno, stages[2], order->arguments[0]);
		return false;
	}
	if (command->pid == 0)
		become(order, in[0], out[1], err[1], report[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(report[1]);
	ssize_t told = read(report[0], failure, sizeof(failure));
	close(report[0]);
	if (told == sizeof(failure)) {
		waitpid(command->pid, NULL, 0);
		send_failure(command->wire, failure[0], stages[failure[1]], order->arguments[0]);
		return false;
	}
	command->input_fd = in[1];
	command->streams[0] = (struct stream){.fd = out[0], .number = 1, .type = OUTPUT};
	command->streams[1] = (struct stream){.fd = err[0], .number = 2, .type = ERRORS};
	command->pid_fd = syscall(SYS_pidfd_open, command->pid, 0);
	if (command->pid_fd < 0)
		_exit(1);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	return true;
}

static void close_input(struct command *command)
{
	if (command->input_fd >= 0)
		close(command->input_fd);
	command->input_fd = -1;
}

/* Does what the host says meanwhile. False if it breaks the rules. */
static bool obey(struct command *command, const struct frame *frame)
{
	switch (frame->type) {
	case INPUT:
		if (frame->size > INPUT_WINDOW - command->input_size || command->input_ended)
			return false;
		for (uint32_t i = 0; i < frame->size; i++)
			command->input[(command->input_start + command->input_size + i) % INPUT_WINDOW] = frame->payload[i];
		command->input_size += frame->size;
		return true;
	case END:
		command->input_ended = true;
		return true;
	case SIGNAL:
		if (frame->size != 4)
			return false;
		/* Its number is not another's as long as no one has waited for it. */
		if (!command->exited)
			kill(-command->pid, get_u32(frame->payload));
		return true;
	case CREDIT:
		if (frame->size != 5 || frame->payload[0] < 1 || frame->payload[0] > 2)
			return false;
		command->streams[frame->payload[0] - 1].credit += get_u32(frame->payload + 1);
		return true;
	default:
		return false;
	}
}

/* Hands input on to the command, as much as it takes. */
static void feed(struct command *command)
{
	while (command->input_size > 0) {
		size_t there = INPUT_WINDOW - command->input_start;
		size_t count = there < command->input_size ? there : command->input_size;

		if (command->input_fd >= 0) {
			ssize_t taken = write(command->input_fd, command->input + command->input_start, count);
			if (taken < 0 && (errno == EAGAIN || errno == EINTR))
				return;
			if (taken < 0)
				close_input(command);
			else
				count = taken;
		}
		/* What no one reads any more is dropped. */
		command->input_start = (command->input_start + count) % INPUT_WINDOW;
		command->input_size -= count;
		command->input_credit += count;
	}
	if (command->input_ended)
		close_input(command);
}

/* Queues what the command has written to a stream. False if there is nothing to tell. */
static bool read_stream(struct command *command, struct stream *stream)
{
	uint8_t *space = payload_space(command->wire);

	if (stream->ended_told)
		return false;
	if (stream->fd >= 0 && stream->credit > 0) {
		size_t most = stream->credit < CHUNK ? stream->credit : CHUNK;
		ssize_t count = read(stream->fd, space, most);
		if (count > 0) {
			stream->credit -= count;
			queue_payload(command->wire, stream->type, count);
			return true;
		}
		/* What processes that the command has left behind may write is not waited for. */
		if (count == 0 || (errno == EAGAIN && command->exited)) {
			close(stream->fd);
			stream->fd = -1;
		}
	}
	if (stream->fd < 0) {
		stream->ended_told = true;
		queue_frame(command->wire, ENDED, &stream->number, 1);
		return true;
	}
	return false;
}

/* Queues the next that is to be told to the host. False if there is nothing. */
static bool tell(struct command *command)
{
	uint8_t exited[5];

	if (command->input_credit > 0) {
		put_u32(exited, command->input_credit);
		command->input_credit = 0;
		queue_frame(command->wire, CREDIT, exited, 4);
		return true;
	}
	if (command->input_fd < 0 && !command->input_ended && !command->deaf_told) {
		command->deaf_told = true;
		queue_frame(command->wire, DEAF, NULL, 0);
		return true;
	}
	if (command->exited && !command->exit_told) {
		command->exit_told = true;
		exited[0] = WIFSIGNALED(command->status);
		put_u32(exited + 1, WIFSIGNALED(command->status) ? WTERMSIG(command->status) : WEXITSTATUS(command->status));
		queue_frame(command->wire, EXITED, exited, sizeof(exited));
		return true;
	}
	command->turn = !command->turn;
	return read_stream(command, &command->streams[command->turn]) || read_stream(command, &command->streams[!command->turn]);
}

static bool is_over(const struct command *command)
{
	return command->exit_told && command->streams[0].ended_told && command->streams[1].ended_told && is_sent(command->wire);
}

__attribute__((noreturn)) static void abandon(struct command *command)
{
	if (!command->exited)
		kill(-command->pid, SIGKILL);
	_exit(1);
}

static void wait_for_events(struct command *command)
{
	struct wire *wire = command->wire;
	struct pollfd events[5] = {
		{.fd = wire->fd, .events = POLLIN | (is_sent(wire) ? 0 : POLLOUT)},
		{.fd = command->exited ? -1 : command->pid_fd, .events = POLLIN},
		{.fd = command->input_fd, .events = command->input_size > 0 ? POLLOUT : 0},
	};

	for (int i = 0; i < 2; i++) {
		struct stream *stream = &command->streams[i];
		bool wanted = is_sent(wire) && stream->credit > 0;
		events[3 + i] = (struct pollfd){.fd = wanted ? stream->fd : -1, .events = POLLIN};
	}
	poll(events, 5, -1);
	if (events[0].revents & (POLLIN | POLLHUP | POLLERR)) {
		struct frame frame;

		if (!read_some(wire))
			abandon(command);
		while (next_frame(wire, &frame))
			if (!obey(command, &frame))
				abandon(command);
	}
	if (events[1].revents && waitpid(command->pid, &command->status, WNOHANG) == command->pid)
		command->exited = true;
	/* The other end of the input is closed. */
	if (events[2].revents & POLLERR)
		close_input(command);
}

/* Looks the user up, whose home is where the command's variables do not say otherwise. False if there is none, which the host was told. */
static bool find_who(struct wire *wire, struct order *order)
{
	char text[256], *home;

	if (!order->user_name)
		return true;
	snprintf(text, sizeof(text), "the root has no user or group '%s'", order->user_name);
	if (!find_user(order->user_name, &order->user)) {
		send_refusal(wire, ENOENT, text);
		return false;
	}
	for (size_t i = 0; i < order->variable_count; i++)
		if (!strncmp(order->variables[i], "HOME=", 5))
			return true;
	if (order->variable_count < MAX_STRINGS && asprintf(&home, "HOME=%s", order->user.home) >= 0)
		order->variables[order->variable_count++] = home;
	return true;
}

void run_command(struct wire *wire, struct frame *first)
{
	static struct order order;
	static struct command command;
	uint8_t pid[4];

	if (!take_order(wire, first, &order))
		_exit(1);
	command.wire = wire;
	if (!find_who(wire, &order) || !start(&command, &order))
		return;
	put_u32(pid, command.pid);
	queue_frame(wire, STARTED, pid, sizeof(pid));
	fcntl(wire->fd, F_SETFL, O_NONBLOCK);
	/* Some of what the host says may have been read with the order. */
	for (struct frame frame; next_frame(wire, &frame);)
		if (!obey(&command, &frame))
			abandon(&command);
	while (!is_over(&command)) {
		feed(&command);
		do {
			if (!send_some(wire))
				abandon(&command);
		} while (is_sent(wire) && tell(&command));
		if (!is_over(&command))
			wait_for_events(&command);
	}
	fcntl(wire->fd, F_SETFL, 0);
}
