/* A guest that does everything that a guest may not, and whatever it may. */
#include "jkvm-sandbox.h"

JKVM_IMPORT(long, host_wait, (void));

static long value = 7;
static const long constant = 8;
static unsigned char filled[1 << 20];

long get(void) { return value; }
void set(long v) { value = v; }
long touch(long v)
{
	for (unsigned i = 0; i < sizeof filled; i += 64)
		filled[i] += (unsigned char)v;
	return filled[64];
}

void loop(void)
{
	for (;;)
		__asm__ volatile("");
}

long wait_for_host(void) { return host_wait(); }

void flood(void)
{
	for (;;)
		host_wait();
}

long recurse(long depth)
{
	volatile char room[256];
	room[0] = (char)depth;
	return depth == 0 ? 0 : recurse(depth - 1) + room[0];
}

void write_null(void) { __asm__ volatile("movl $1, 8"); }
void write_at(long address) { *(volatile char *)address = 1; }
long read_at(long address) { return *(volatile char *)address; }
void write_constant(void) { *(volatile long *)&constant = 9; }
void write_code(void) { *(volatile char *)(uintptr_t)&get = 0x90; }
void run_data(void) { ((void (*)(void))(uintptr_t)filled)(); }
void run_at(long address) { ((void (*)(void))address)(); }
void undefined(void) { __asm__ volatile("ud2"); }
void halt(void) { __asm__ volatile("hlt"); }
void out_other(void) { __asm__ volatile("outb %%al, $0x80" : : "a"(0)); }
void out_wide(void) { __asm__ volatile("outl %%eax, $0x10" : : "a"(0)); }
long in(void)
{
	unsigned char v;
	__asm__ volatile("inb $0x10, %0" : "=a"(v));
	return v;
}
void load_cr3(void) { __asm__ volatile("mov %0, %%cr3" : : "r"(0L)); }
void write_msr(void) { __asm__ volatile("wrmsr" : : "c"(0xc0000081), "a"(1), "d"(2)); }
void write_debug(void) { __asm__ volatile("mov %0, %%dr0" : : "r"(1L)); }
void breakpoint(void) { __asm__ volatile("int3"); }
void interrupt(void) { __asm__ volatile("int $0x80"); }
void divide(void) { __asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0)); }
void trap(void) { __asm__ volatile("pushfq\n\torq $0x100, (%rsp)\n\tpopfq\n\tnop"); }
void ring_anything(long message)
{
	__asm__ volatile("movq %0, %%gs:0x10\n\tmovq %0, %%gs:0x18\n\tmovq %0, %%gs:0x20\n\toutb %%al, $0x10" : : "r"(message), "a"(0) : "memory");
}

/* Changes what a user can change of the processor; the host's next call finds it so. */
void disorder(void)
{
	__asm__ volatile("movl $0x23, %%eax\n\tmovl $0x1b, %%eax\n\tmovw %%ax, %%fs\n\tmovw %%ax, %%es\n\txorl %%eax, %%eax\n\tmovw %%ax, %%ds\n\t"
			 "pcmpeqd %%xmm7, %%xmm7\n\tpcmpeqd %%xmm15, %%xmm15\n\tfninit\n\tfld1\n\tstd\n\tsti\n\tpushq $0x7f80\n\tldmxcsr (%%rsp)\n\taddq $8, %%rsp\n\t"
			 "movq $-1, %%r15\n\tmovw %%ax, %%gs\n\tud2"
			 :
			 :
			 : "rax", "r15", "memory");
}

JKVM_EXPORT(long, get, (void));
JKVM_EXPORT(void, set, (long));
JKVM_EXPORT(long, touch, (long));
JKVM_EXPORT(void, loop, (void));
JKVM_EXPORT(long, wait_for_host, (void));
JKVM_EXPORT(void, flood, (void));
JKVM_EXPORT(long, recurse, (long));
JKVM_EXPORT(void, write_null, (void));
JKVM_EXPORT(void, write_at, (long));
JKVM_EXPORT(long, read_at, (long));
JKVM_EXPORT(void, write_constant, (void));
JKVM_EXPORT(void, write_code, (void));
JKVM_EXPORT(void, run_data, (void));
JKVM_EXPORT(void, run_at, (long));
JKVM_EXPORT(void, undefined, (void));
JKVM_EXPORT(void, halt, (void));
JKVM_EXPORT(void, out_other, (void));
JKVM_EXPORT(void, out_wide, (void));
JKVM_EXPORT(long, in, (void));
JKVM_EXPORT(void, load_cr3, (void));
JKVM_EXPORT(void, write_msr, (void));
JKVM_EXPORT(void, write_debug, (void));
JKVM_EXPORT(void, breakpoint, (void));
JKVM_EXPORT(void, interrupt, (void));
JKVM_EXPORT(void, divide, (void));
JKVM_EXPORT(void, trap, (void));
JKVM_EXPORT(void, ring_anything, (long));
JKVM_EXPORT(void, disorder, (void));
