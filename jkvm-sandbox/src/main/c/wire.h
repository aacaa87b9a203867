/*
 * How host and agent talk over one connection: frames, each a letter, the payload's size in four bytes and the payload. Numbers are little-endian. A
 * connection is for one request. The other end of this is io.github.jkvm.sandbox.linux.
 */
#ifndef JKVM_WIRE_H
#define JKVM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The port the agent listens on, and the host's port that it connects to once it does. */
#define AGENT_PORT 1024
#define READY_PORT 1024
#define VERSION 3

/* As much as an argument may have (Linux, include/uapi/linux/binfmts.h, MAX_ARG_STRLEN). */
#define MAX_PAYLOAD 131072
#define HEADER 5

/* How many bytes each side may send of a command's stream before it is given more credit. */
#define INPUT_WINDOW 65536

enum frame_type {
	/* requests, from the host */
	PREPARE = 'T',   /* u64 seconds, u32 nanoseconds, bytes of entropy */
	ARGUMENT = 'A',  /* of the command to be run */
	VARIABLE = 'V',  /* NAME=value */
	DIRECTORY = 'D', /* to run it in */
	USER = 'U',      /* u32 uid, u32 gid */
	NAMED = 'M',     /* in place of that: user, or user:group, each a name or a number; HOME is set unless it is given */
	EXECUTE = 'X',   /* runs it */
	PUT = 'P',       /* path; entries follow */
	GET = 'G',       /* path */
	NETWORK = 'W',   /* u8 bits of the network (0: no address), address, gateway (0: none), text for /etc/resolv.conf (none: it stays) */
	/* while a command runs, from the host */
	INPUT = 'I',
	SIGNAL = 'K',    /* u32 number */
	/* from either side */
	CREDIT = 'C',    /* host: u8 stream, u32 bytes; agent: u32 bytes of input */
	ENTRY = 'N',     /* u8 kind, u32 mode, u64 seconds of the last change, u16 size of the name, name, target of a link */
	BYTES = 'B',     /* of the last entry */
	END = 'Z',       /* of the input, or of the entries */
	/* from the agent */
	READY = 'R',     /* u32 version */
	STARTED = 'S',   /* u32 process */
	OUTPUT = '1',
	ERRORS = '2',
	ENDED = 'O',     /* u8 stream */
	DEAF = 'L',      /* the command reads no more input */
	EXITED = 'Q',    /* u8 how: 0 by itself, 1 by a signal; u32 status or signal */
	DONE = 'F',      /* all entries were written, or the network is set up */
	FAILED = 'E',    /* u32 errno, text */
};

/* Kinds of entries. */
#define KIND_FILE 'f'
#define KIND_FOLDER 'd'
#define KIND_LINK 'l'
#define KIND_OTHER 'o'

struct frame {
	uint8_t type;
	uint32_t size;
	uint8_t *payload;
};

struct wire {
	int fd;
	size_t in_start, in_end;
	size_t out_start, out_end;
	uint8_t in[HEADER + MAX_PAYLOAD];
	uint8_t out[HEADER + MAX_PAYLOAD];
};

void put_u32(uint8_t *at, uint32_t value);
void put_u64(uint8_t *at, uint64_t value);
uint32_t get_u32(const uint8_t *at);
uint64_t get_u64(const uint8_t *at);

/* Takes the next frame out of what was read; its payload lasts until more is read. False if there is no whole one. */
bool next_frame(struct wire *wire, struct frame *frame);
/* Reads what is there. False at the end, or if the connection is broken. A connection that has nothing for now is fine. */
bool read_some(struct wire *wire);
/* Waits for a frame. False as above. */
bool read_frame(struct wire *wire, struct frame *frame);

/* Whether all that was queued is sent. */
bool is_sent(const struct wire *wire);
/* Queues a frame; nothing else may be queued. */
void queue_frame(struct wire *wire, uint8_t type, const void *payload, uint32_t size);
/* Where the payload of the next frame may be made, and its being queued then. */
uint8_t *payload_space(struct wire *wire);
void queue_payload(struct wire *wire, uint8_t type, uint32_t size);
/* Sends what it can. False if the connection is broken. */
bool send_some(struct wire *wire);
/* Queues a frame and sends it, for connections that block; ends the process if the host is gone. */
void send_frame(struct wire *wire, uint8_t type, const void *payload, uint32_t size);
void send_payload(struct wire *wire, uint8_t type, uint32_t size);
/* Tells that something did not work, in words. */
void send_refusal(struct wire *wire, int error, const char *text);
/* Tells that something did not work: an errno, and what. */
void send_failure(struct wire *wire, int error, const char *what, const char *name);

#endif
