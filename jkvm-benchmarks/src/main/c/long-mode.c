/*
 * A guest in 64-bit mode like those of function sandboxes: 16 MiB of memory from 4 MiB on, page tables, and code that a user of
 * the processor runs, at privilege level 3, and that leaves the guest by a write to a port, the doorbell. Numbers are those of the Intel SDM.
 */
#include "kvm-peer.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DOORBELL = 0x10, MOST_CPUID_ENTRIES = 256 };

/* Where things are in the guest. */
#define MEMORY_START 0x400000ul
#define MEMORY_SIZE (16ul << 20)
#define CODE_ADDRESS MEMORY_START
#define STACK_END (MEMORY_START + 0x2000)
#define DESCRIPTORS (MEMORY_START + 0x2000)
#define TASK (MEMORY_START + 0x2800)
#define ROOT_TABLE (MEMORY_START + 0x3000)
#define GIB_TABLE (MEMORY_START + 0x4000)
#define LARGE_PAGE_TABLE (MEMORY_START + 0x5000)
#define LARGE_PAGE (2ul << 20)

/* Volume 3, 5.5.4: entries of page tables; 2.5: control registers. */
enum { PRESENT = 1, WRITABLE = 1 << 1, USER = 1 << 2, LARGE = 1 << 7 };
enum { CR0_PE = 1, CR0_MP = 1 << 1, CR0_ET = 1 << 4, CR0_NE = 1 << 5, CR0_WP = 1 << 16 };
enum { CR4_PAE = 1 << 5, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10 };
enum { EFER_LME = 1 << 8, EFER_LMA = 1 << 10 };
#define CR0_PG (1ul << 31)

/* Bit 1 is always set; I/O privilege level 3. */
enum { RFLAGS = 1 << 1 | 3 << 12 };

enum { TASK_LIMIT = 103, TYPE_DATA = 3, TYPE_CODE = 11, TYPE_BUSY_TASK = 11 };

struct guest {
	int fd;
	int vcpu;
	uint8_t *memory;
	struct kvm_run *run;
};

static void put(const struct guest *guest, uint64_t address, uint64_t value)
{
	memcpy(guest->memory + (address - MEMORY_START), &value, sizeof value);
}

static void write_tables(const struct guest *guest)
{
	/* Volume 3, 3.4.5: flat segments, of the system and of users. */
	static const uint64_t descriptors[] = {
		0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff,
	};
	for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++)
		put(guest, DESCRIPTORS + i * sizeof descriptors[0], descriptors[i]);
	put(guest, ROOT_TABLE, GIB_TABLE | PRESENT | WRITABLE | USER);
	put(guest, GIB_TABLE, LARGE_PAGE_TABLE | PRESENT | WRITABLE | USER);
	for (uint64_t page = MEMORY_START; page < MEMORY_START + MEMORY_SIZE; page += LARGE_PAGE)
		put(guest, LARGE_PAGE_TABLE + page / LARGE_PAGE * 8, page | PRESENT | WRITABLE | USER | LARGE);
}

static struct kvm_segment segment(int selector, int type, int level)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = (uint16_t)(selector | level),
		.type = (uint8_t)type,
		.present = 1,
		.dpl = (uint8_t)level,
		.db = type == TYPE_DATA,
		.s = 1,
		.l = type == TYPE_CODE,
		.g = 1,
	};
}

static void set_registers(const struct guest *guest, int level)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rip = CODE_ADDRESS, .rsp = STACK_END, .rflags = RFLAGS};

	checked(ioctl(guest->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = segment(level == 0 ? 0x08 : 0x20, TYPE_CODE, level);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment(level == 0 ? 0x10 : 0x18, TYPE_DATA, level);
	sregs.tr = (struct kvm_segment){
		.base = TASK, .limit = TASK_LIMIT, .selector = 0x28, .type = TYPE_BUSY_TASK, .present = 1};
	sregs.gdt = (struct kvm_dtable){.base = DESCRIPTORS, .limit = 5 * 8 - 1};
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = ROOT_TABLE;
	sregs.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	sregs.efer = EFER_LME | EFER_LMA;
	checked(ioctl(guest->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	checked(ioctl(guest->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void set_cpuid(const struct guest *guest)
{
	struct kvm_cpuid2 *cpuid = malloc(sizeof *cpuid + MOST_CPUID_ENTRIES * sizeof cpuid->entries[0]);

	if (cpuid == NULL)
		fail("malloc");
	cpuid->nent = MOST_CPUID_ENTRIES;
	checked(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
	checked(ioctl(guest->vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	free(cpuid);
}

static struct guest create(const struct code *code, int level)
{
	struct guest guest;

	guest.fd = checked(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	guest.memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (guest.memory == MAP_FAILED)
		fail("mmap of guest memory");
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = MEMORY_START,
		.memory_size = MEMORY_SIZE,
		.userspace_addr = (uintptr_t)guest.memory,
	};
	checked(ioctl(guest.fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	memcpy(guest.memory + (CODE_ADDRESS - MEMORY_START), code->bytes, code->length);
	write_tables(&guest);

	guest.vcpu = checked(ioctl(guest.fd, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	guest.run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest.vcpu, 0);
	if (guest.run == MAP_FAILED)
		fail("mmap of kvm_run");
	set_cpuid(&guest);
	set_registers(&guest, level);
	return guest;
}

static void run_until_ring(const struct guest *guest)
{
	while (ioctl(guest->vcpu, KVM_RUN, 0) < 0)
		if (errno != EINTR)
			fail("KVM_RUN");
	if (guest->run->exit_reason != KVM_EXIT_IO || guest->run->io.port != DOORBELL) {
		fprintf(stderr, "kvm-peer: unexpected exit reason %u\n", guest->run->exit_reason);
		exit(1);
	}
}

static void destroy(const struct guest *guest)
{
	munmap(guest->run, (size_t)run_size);
	close(guest->vcpu);
	close(guest->fd);
	munmap(guest->memory, MEMORY_SIZE);
}

static uint64_t rings_at(int level, const struct code *code, uint32_t count)
{
	struct guest guest = create(code, level);

	/* The first finds its pages. */
	run_until_ring(&guest);
	uint64_t start = now();
	for (uint32_t i = 0; i < count; i++)
		run_until_ring(&guest);
	uint64_t end = now();
	destroy(&guest);
	return end - start;
}

uint64_t rings(const struct code *code, uint32_t count)
{
	return rings_at(3, code, count);
}

uint64_t system_rings(const struct code *code, uint32_t count)
{
	return rings_at(0, code, count);
}

uint64_t first_ring(const struct code *code, uint32_t count)
{
	uint64_t time = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = now();
		struct guest guest = create(code, 3);
		run_until_ring(&guest);
		time += now() - start;
		destroy(&guest);
	}
	return time;
}
