/* What the parts of the C side of scripts/bench share. */
#ifndef KVM_PEER_H
#define KVM_PEER_H

#include <stddef.h>
#include <stdint.h>

enum { LONGEST_CODE = 256 };

/* A guest's machine code. */
struct code {
	uint8_t bytes[LONGEST_CODE];
	size_t length;
};

/* /dev/kvm, and how many bytes of a vCPU are mapped. */
extern int kvm;
extern int run_size;

/* Ends the program with a message and what errno says. */
_Noreturn void fail(const char *what);

/* Returns the result of a call, unless it says that the call failed. */
int checked(int result, const char *what);

/* Returns the time in nanoseconds. */
uint64_t now(void);

/* In long-mode.c: what the commands of these names do, see kvm-peer.c. */
uint64_t rings(const struct code *code, uint32_t count);
uint64_t system_rings(const struct code *code, uint32_t count);
uint64_t first_ring(const struct code *code, uint32_t count);

#endif
