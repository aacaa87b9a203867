/*
 * The C side of scripts/bench: makes the KVM calls that jkvm makes for the same guest, and tells how long they took.
 *
 * Reads commands from stdin and answers each by a line with a number of nanoseconds:
 *
 *   exits CODE COUNT      runs CODE, which is to leave the guest COUNT times for a port or MMIO access and then to halt
 *   lifecycle CODE COUNT  COUNT times: creates a VM, runs CODE until it halts, and closes the VM
 *
 * CODE is real-mode machine code in hexadecimal; it finds COUNT as a 32-bit number at address 0x500. In long-mode.c, it is 64-bit code that writes
 * to port 0x10, time and again:
 *
 *   rings CODE COUNT         runs CODE at privilege level 3 until it has written COUNT times
 *   system-rings CODE COUNT  the same at privilege level 0
 *   first-ring CODE COUNT    COUNT times: creates a VM and runs CODE until it writes; what closing takes is not counted
 */
#include "kvm-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MEMORY_SIZE = 64 * 1024, CODE_ADDRESS = 0x1000, COUNT_ADDRESS = 0x500 };

struct vm {
	int fd;
	int vcpu;
	uint8_t *memory;
	struct kvm_run *run;
};

int kvm;
int run_size;

/* What the guest wrote to ports and MMIO: the device of this program. */
static uint64_t sum;

void fail(const char *what)
{
	fprintf(stderr, "kvm-peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

int checked(int result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}

uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct vm create(const struct code *code)
{
	struct vm vm;
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rip = CODE_ADDRESS, .rflags = 2};

	vm.fd = checked(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	vm.memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm.memory == MAP_FAILED)
		fail("mmap of guest memory");
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY_SIZE,
		.userspace_addr = (uintptr_t)vm.memory,
	};
	checked(ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	memcpy(vm.memory + CODE_ADDRESS, code->bytes, code->length);

	vm.vcpu = checked(ioctl(vm.fd, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	vm.run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm.vcpu, 0);
	if (vm.run == MAP_FAILED)
		fail("mmap of kvm_run");
	checked(ioctl(vm.vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	struct kvm_segment segment = {.limit = 0xffff, .present = 1, .s = 1, .type = 3};
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment;
	segment.type = 0xb;
	sregs.cs = segment;
	checked(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	checked(ioctl(vm.vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	return vm;
}

static void run_until_halt(const struct vm *vm)
{
	for (;;) {
		if (ioctl(vm->vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			fail("KVM_RUN");
		}
		const struct kvm_run *run = vm->run;
		switch (run->exit_reason) {
		case KVM_EXIT_IO: {
			const uint8_t *data = (const uint8_t *)run + run->io.data_offset;
			for (uint32_t i = 0; i < run->io.count * run->io.size; i++)
				sum += data[i];
			break;
		}
		case KVM_EXIT_MMIO:
			for (uint32_t i = 0; i < run->mmio.len; i++)
				sum += run->mmio.data[i];
			break;
		case KVM_EXIT_HLT:
			return;
		default:
			fprintf(stderr, "kvm-peer: unexpected exit reason %u\n", run->exit_reason);
			exit(1);
		}
	}
}

static void destroy(const struct vm *vm)
{
	munmap(vm->run, (size_t)run_size);
	close(vm->vcpu);
	close(vm->fd);
	munmap(vm->memory, MEMORY_SIZE);
}

static uint64_t exits(const struct code *code, uint32_t count)
{
	struct vm vm = create(code);

	memcpy(vm.memory + COUNT_ADDRESS, &count, sizeof count);
	uint64_t start = now();
	run_until_halt(&vm);
	uint64_t end = now();
	destroy(&vm);
	return end - start;
}

static uint64_t lifecycle(const struct code *code, uint32_t count)
{
	uint64_t start = now();

	for (uint32_t i = 0; i < count; i++) {
		struct vm vm = create(code);
		run_until_halt(&vm);
		destroy(&vm);
	}
	return now() - start;
}

static bool parse_code(const char *hex, struct code *code)
{
	unsigned int byte;

	for (code->length = 0; *hex != '\0'; hex += 2, code->length++) {
		if (code->length == LONGEST_CODE || sscanf(hex, "%2x", &byte) != 1)
			return false;
		code->bytes[code->length] = (uint8_t)byte;
	}
	return true;
}

static const struct {
	const char *name;
	uint64_t (*measure)(const struct code *code, uint32_t count);
} commands[] = {
	{"exits", exits},
	{"lifecycle", lifecycle},
	{"rings", rings},
	{"system-rings", system_rings},
	{"first-ring", first_ring},
};

static bool follow(const char *name, const struct code *code, uint32_t count)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (strcmp(name, commands[i].name) == 0) {
			printf("%" PRIu64 "\n", commands[i].measure(code, count));
			fflush(stdout);
			return true;
		}
	}
	return false;
}

int main(void)
{
	char line[1024], command[16], hex[2 * LONGEST_CODE + 1];
	uint32_t count;
	struct code code;

	kvm = checked(open("/dev/kvm", O_RDWR | O_CLOEXEC), "open /dev/kvm");
	run_size = checked(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	while (fgets(line, sizeof line, stdin) != NULL) {
		if (sscanf(line, "%15s %512s %" SCNu32, command, hex, &count) != 3 || !parse_code(hex, &code) ||
		    !follow(command, &code, count)) {
			fprintf(stderr, "kvm-peer: cannot follow: %s", line);
			return 1;
		}
	}
	return 0;
}
