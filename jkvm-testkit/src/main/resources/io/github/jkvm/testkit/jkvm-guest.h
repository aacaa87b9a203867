/* What a test guest in C starts with. Included before the first line of the guest's code, which has a function main. */
#ifndef JKVM_GUEST_H
#define JKVM_GUEST_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define JKVM_DEBUG_PORT 0xe9
#define JKVM_EXIT_PORT 0x501

static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outl(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

static inline u8 inb(u16 port)
{
	u8 value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u32 inl(u16 port)
{
	u32 value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void halt(void) { __asm__ volatile("hlt"); }

static inline void print(const char *text)
{
	while (*text)
		outb(JKVM_DEBUG_PORT, (u8)*text++);
}

static inline void power_off(u32 status) { outl(JKVM_EXIT_PORT, status); }

int main(void);

/* The entry: what main returns is the guest's status. */
__attribute__((section(".text.start"), used)) void _start(void)
{
	power_off((u32)main());
	for (;;)
		halt();
}
#endif
