#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = value >> 8 * i;
}

void put_u64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = value >> 8 * i;
}

uint32_t get_u32(const uint8_t *at)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value |= (uint32_t)at[i] << 8 * i;
	return value;
}

uint64_t get_u64(const uint8_t *at)
{
	return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

bool next_frame(struct wire *wire, struct frame *frame)
{
	uint8_t *at = wire->in + wire->in_start;
	size_t there = wire->in_end - wire->in_start;

	if (there < HEADER)
		return false;
	frame->type = at[0];
	frame->size = get_u32(at + 1);
	frame->payload = at + HEADER;
	/* The host sends none that are larger: it is not the host. */
	if (frame->size > MAX_PAYLOAD)
		_exit(1);
	if (there - HEADER < frame->size)
		return false;
	wire->in_start += HEADER + frame->size;
	return true;
}

bool read_some(struct wire *wire)
{
	memmove(wire->in, wire->in + wire->in_start, wire->in_end - wire->in_start);
	wire->in_end -= wire->in_start;
	wire->in_start = 0;
	ssize_t count = read(wire->fd, wire->in + wire->in_end, sizeof(wire->in) - wire->in_end);
	if (count > 0)
		wire->in_end += count;
	return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
}

bool read_frame(struct wire *wire, struct frame *frame)
{
	while (!next_frame(wire, frame))
		if (!read_some(wire))
			return false;
	return true;
}

bool is_sent(const struct wire *wire)
{
	return wire->out_start == wire->out_end;
}

uint8_t *payload_space(struct wire *wire)
{
	return wire->out + HEADER;
}

void queue_payload(struct wire *wire, uint8_t type, uint32_t size)
{
	wire->out[0] = type;
	put_u32(wire->out + 1, size);
	wire->out_start = 0;
	wire->out_end = HEADER + size;
}

void queue_frame(struct wire *wire, uint8_t type, const void *payload, uint32_t size)
{
	memcpy(payload_space(wire), payload, size);
	queue_payload(wire, type, size);
}

bool send_some(struct wire *wire)
{
	while (!is_sent(wire)) {
		ssize_t count = send(wire->fd, wire->out + wire->out_start, wire->out_end - wire->out_start, MSG_NOSIGNAL);
		if (count < 0)
			return errno == EAGAIN || errno == EINTR;
		wire->out_start += count;
	}
	return true;
}

void send_payload(struct wire *wire, uint8_t type, uint32_t size)
{
	queue_payload(wire, type, size);
	while (!is_sent(wire))
		if (!send_some(wire))
			_exit(1);
}

void send_frame(struct wire *wire, uint8_t type, const void *payload, uint32_t size)
{
	memcpy(payload_space(wire), payload, size);
	send_payload(wire, type, size);
}

void send_refusal(struct wire *wire, int error, const char *text)
{
	size_t length = strlen(text);
	uint8_t *payload = payload_space(wire);

	put_u32(payload, error);
	memcpy(payload + 4, text, length);
	send_payload(wire, FAILED, 4 + length);
}

void send_failure(struct wire *wire, int error, const char *what, const char *name)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s %s: %s", what, name, strerror(error));
	send_refusal(wire, error, text);
}
