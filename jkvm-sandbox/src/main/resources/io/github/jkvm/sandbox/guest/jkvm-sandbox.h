/*
 * What a guest of a function sandbox is written with: functions that the host calls, functions of the host that the guest calls, memory, errors.
 *
 * The guest is a freestanding program without a main. It runs as the user of its own virtual machine, and can do nothing but compute and call the
 * functions that the host gave it. Build it with the three files that came with this one:
 *
 *   gcc -O2 -ffreestanding -nostdlib -static -no-pie -fno-pic -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
 *       -I. guest.c jkvm-sandbox.c jkvm-sandbox.S -T jkvm-sandbox.ld -Wl,--build-id=none -o guest.elf
 *
 * Values that go between guest and host:
 *
 *   C                    Java
 *   bool                 boolean
 *   int, int32_t         int
 *   long, int64_t        long
 *   float                float
 *   double               double
 *   const char *         String, as UTF-8, never NULL
 *   jkvm_bytes           byte[]
 *   const NAME *         a record, see JKVM_RECORD; never NULL
 *   void                 void, as a result
 *
 * What a function is given by pointer may be read until the function that the host called returns.
 */
#ifndef JKVM_SANDBOX_H
#define JKVM_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#error "guests are C; declare functions of other languages in a C file with these macros"
#endif

/* Bytes that lie somewhere in the guest's memory. */
typedef struct jkvm_bytes {
	const void *data;
	size_t length;
} jkvm_bytes;

/*
 * Defines a struct that goes between guest and host as a Java record with components of the same types in the same order:
 *
 *   JKVM_RECORD(point, int x; int y;);
 *   JKVM_RECORD(line, point from; point to; const char *name;);
 *
 * Functions take and give it as "const point *". The host checks that both lay it out alike.
 */
#define JKVM_RECORD(name, ...) \
	typedef struct name { __VA_ARGS__ } name; \
	static const struct jkvm_record jkvm_record_##name \
		__attribute__((used, aligned(8), section("jkvm_records"))) = {#name, #__VA_ARGS__, sizeof(name)}

/*
 * Lets the host call a function, which is declared or defined before:
 *
 *   JKVM_EXPORT(long, add, (long, long));
 */
#define JKVM_EXPORT(result, name, parameters) \
	_Static_assert(__builtin_types_compatible_p(__typeof__(name), result parameters), \
		       #name " is not " #result " " #name #parameters); \
	static const struct jkvm_export jkvm_export_##name __attribute__((used, aligned(8), section("jkvm_exports"))) = { \
		#name, #result, #parameters, (void (*)(void))name}

/*
 * Declares a function of the host, in one file of a guest:
 *
 *   JKVM_IMPORT(long, now, (void));
 *
 * If it throws an exception, the guest's function ends there, as if it had called jkvm_fail with the exception's message; see jkvm_catch.
 */
#define JKVM_IMPORT(result, name, parameters) \
	result name parameters; \
	static struct jkvm_import jkvm_import_##name __asm__("jkvm_import_" #name) \
		__attribute__((used, aligned(8), section("jkvm_imports"))) = {#name, #result, #parameters, 0, 0}; \
	__asm__(".pushsection .text\n" \
		".type " #name ", @function\n" \
		".globl " #name "\n" \
		#name ":\n" \
		"	leaq jkvm_import_" #name "(%rip), %r11\n" \
		"	jmp jkvm_import_call\n" \
		".popsection\n")

/* Ends the function that the host called with an error: the host's caller gets a GuestErrorException with this message. Static data stays as it is. */
_Noreturn void jkvm_fail(const char *message);

/*
 * Runs a function that may fail. Returns NULL if it did not; or else the error's message: giving that one to jkvm_fail passes the error on, with the
 * exception of the host that it came from.
 */
const char *jkvm_catch(void (*function)(void *), void *argument);

/* Returns zeroed memory, aligned to 16 bytes, until the function that the host called returns. Fails if there is no more. */
void *jkvm_alloc(size_t size);

/* Returns a mark for jkvm_release, which gives back all that was allocated since: values of functions of the host too. */
void *jkvm_mark(void);
void jkvm_release(void *mark);

/* Of the C library; what compilers call on their own, and what handling strings needs. */
void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *a, const void *b, size_t length);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);

/* The tables that the macros fill and the host reads; jkvm-sandbox.S tells it where they are. */
struct jkvm_record {
	const char *name, *fields;
	uint64_t size;
};

struct jkvm_export {
	const char *name, *result, *parameters;
	void (*function)(void);
};

struct jkvm_import {
	const char *name, *result, *parameters;
	uint64_t index;                     /* set by the host */
	const struct jkvm_signature *types; /* set by the host */
};

#endif
