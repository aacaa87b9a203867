/* The part of a function sandbox's guest that talks to the host; see jkvm-sandbox.h. */
#include "jkvm-sandbox.h"

/* What a value is made of, for those that lie in memory. Written by the host. */
enum kind { KIND_VOID, KIND_WHOLE, KIND_FLOAT, KIND_STRING, KIND_BYTES, KIND_RECORD };

struct reference {
	uint32_t offset; /* of a string or of bytes in a record */
	uint32_t kind;
};

struct type {
	uint32_t kind;
	uint32_t size; /* of a record, in bytes */
	uint32_t references;
	uint32_t unused;
	struct reference reference[];
};

struct jkvm_signature {
	const struct type *result;
	uint64_t count;
	const struct type *arguments[];
};

/* What a processor and the host share, and behind it what values of variable size take. */
struct jkvm_page {
	uint64_t next;         /* 0x00: where the guest goes on after the doorbell */
	uint64_t function;     /* 0x08: what it calls then */
	uint64_t message;      /* 0x10: what the other side is told, enum message */
	uint64_t index;        /* 0x18: which function of the host; or which of its errors */
	uint64_t value[2];     /* 0x20: the result, or where arguments are */
	uint64_t result;       /* 0x30: type of the function's result, a struct type * */
	uint64_t stack_top;    /* 0x38 */
	uint64_t heap;         /* 0x40: what jkvm_alloc gives next */
	uint64_t heap_end;     /* 0x48 */
	uint64_t catching;     /* 0x50: the innermost jkvm_catch, or 0 */
	uint64_t room;         /* 0x58: where values of variable size go next */
	uint64_t room_end;     /* 0x60 */
	uint64_t error;        /* 0x68: message of the host's last error */
	uint64_t error_index;  /* 0x70: which it was */
	uint64_t room_start;   /* 0x78 */
	uint64_t ints[6];      /* 0x80: arguments in registers */
	uint64_t floats[8];    /* 0xb0 */
	uint64_t extras;       /* 0xf0: how many on the stack */
	uint64_t own;          /* 0xf8: address of this page */
	uint64_t extra[32];    /* 0x100 */
};

#define AT(field, offset) _Static_assert(offsetof(struct jkvm_page, field) == offset, #field)
AT(function, 0x08);
AT(value, 0x20);
AT(stack_top, 0x38);
AT(catching, 0x50);
AT(ints, 0x80);
AT(floats, 0xb0);
AT(extras, 0xf0);
AT(own, 0xf8);
AT(extra, 0x100);

enum message { RESULT, FAILED, HOST_CALL, HOST_RESULT, HOST_ERROR };

enum { INT_REGISTERS = 6, FLOAT_REGISTERS = 8 };

_Noreturn void jkvm_fail_now(const char *message);

struct words {
	uint64_t first, second;
};

static struct jkvm_page *page(void)
{
	struct jkvm_page *own;
	__asm__("movq %%gs:0xf8, %0" : "=r"(own));
	return own;
}

static void ring(void)
{
	__asm__ volatile("outb %%al, $0x10" : : "a"(0) : "memory");
}

void *memcpy(void *to, const void *from, size_t length)
{
	void *end = to;
	__asm__ volatile("rep movsb" : "+D"(end), "+S"(from), "+c"(length) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	if ((uintptr_t)to - (uintptr_t)from >= length)
		return memcpy(to, from, length);
	char *last = (char *)to + length - 1;
	from = (const char *)from + length - 1;
	__asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(last), "+S"(from), "+c"(length) : : "memory");
	return to;
}

void *memset(void *to, int value, size_t length)
{
	void *end = to;
	__asm__ volatile("rep stosb" : "+D"(end), "+c"(length) : "a"(value) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const unsigned char *left = a, *right = b;
	for (; length; length--, left++, right++)
		if (*left != *right)
			return *left < *right ? -1 : 1;
	return 0;
}

size_t strlen(const char *text)
{
	const char *end = text;
	while (*end)
		end++;
	return (size_t)(end - text);
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

/* Takes memory from a range, or returns NULL. */
static void *take(uint64_t *next, uint64_t end, uint64_t size, uint64_t alignment)
{
	uint64_t start = (*next + alignment - 1) & -alignment;
	if (start > end || size > end - start)
		return NULL;
	*next = start + size;
	return (void *)start;
}

static void *take_from_heap(size_t size)
{
	struct jkvm_page *own = page();
	void *memory = take(&own->heap, own->heap_end, size, 16);
	if (!memory)
		jkvm_fail("the guest's memory is used up");
	return memory;
}

static void *take_from_page(size_t size)
{
	struct jkvm_page *own = page();
	void *memory = take(&own->room, own->room_end, size, 8);
	if (!memory)
		jkvm_fail("the values are too large for one message");
	return memory;
}

void *jkvm_alloc(size_t size)
{
	return memset(take_from_heap(size), 0, size);
}

void *jkvm_mark(void)
{
	return (void *)page()->heap;
}

void jkvm_release(void *mark)
{
	page()->heap = (uint64_t)mark;
}

static const void *copy(const void *from, size_t size, void *(*taker)(size_t))
{
	return memcpy(taker(size), from, size);
}

static const char *copy_string(const char *text, void *(*taker)(size_t))
{
	if (!text)
		jkvm_fail("a string is NULL");
	return copy(text, strlen(text) + 1, taker);
}

static jkvm_bytes copy_bytes(jkvm_bytes bytes, void *(*taker)(size_t))
{
	if (!bytes.data && bytes.length)
		jkvm_fail("bytes are NULL");
	bytes.data = copy(bytes.data, bytes.length, taker);
	return bytes;
}

/* Copies all that a value has in memory. */
static struct words copy_value(const struct type *type, struct words value, void *(*taker)(size_t))
{
	if (type->kind == KIND_STRING) {
		value.first = (uint64_t)copy_string((const char *)value.first, taker);
	} else if (type->kind == KIND_BYTES) {
		jkvm_bytes bytes = copy_bytes((jkvm_bytes){(const void *)value.first, value.second}, taker);
		value.first = (uint64_t)bytes.data;
	} else if (type->kind == KIND_RECORD) {
		if (!value.first)
			jkvm_fail("a record is NULL");
		char *record = taker(type->size);
		memcpy(record, (const void *)value.first, type->size);
		for (uint32_t i = 0; i < type->references; i++) {
			char *field = record + type->reference[i].offset;
			if (type->reference[i].kind == KIND_STRING)
				*(const char **)field = copy_string(*(const char **)field, taker);
			else
				*(jkvm_bytes *)field = copy_bytes(*(jkvm_bytes *)field, taker);
		}
		value.first = (uint64_t)record;
	}
	return value;
}

/* Called when a function that the host called has returned: with the registers that its result may be in. */
void jkvm_give_result(uint64_t rax, uint64_t rdx, uint64_t xmm0)
{
	struct jkvm_page *own = page();
	const struct type *type = (const struct type *)own->result;
	struct words value = {type->kind == KIND_FLOAT ? xmm0 : rax, rdx};
	value = copy_value(type, value, take_from_page);
	own->value[0] = value.first;
	own->value[1] = value.second;
}

/* Called when such a function has failed. */
void jkvm_give_error(const char *message)
{
	struct jkvm_page *own = page();
	own->index = (uint64_t)message == own->error ? own->error_index : 0;
	size_t length = strlen(message);
	size_t most = own->room_end - own->room_start - 1;
	if (length > most)
		length = most;
	memmove((char *)own->room_start, message, length);
	((char *)own->room_start)[length] = 0;
	own->value[0] = own->room_start;
	own->message = FAILED;
}

void jkvm_fail(const char *message)
{
	jkvm_fail_now(message ? message : "the guest gave no message");
}

/* Whether an argument of whole numbers is in registers: all of it or nothing. */
static uint64_t *place(uint64_t *registers, uint64_t *used, uint64_t limit, uint64_t **stack, uint64_t size)
{
	uint64_t *words;
	if (*used + size <= limit) {
		words = registers + *used;
		*used += size;
	} else {
		words = *stack;
		*stack += size;
	}
	return words;
}

/* Calls a function of the host with the arguments in the registers and on the stack; leaves the result to be put into its registers. */
struct words jkvm_call_host(const struct jkvm_import *import, uint64_t *registers, uint64_t *stack)
{
	struct jkvm_page *own = page();
	const struct jkvm_signature *types = import->types;
	uint64_t ints = 0, floats = 0;
	uint64_t room = own->room;
	/* Two words for each: that is what the longest take. */
	struct words *arguments = take_from_page(types->count * sizeof(struct words));
	for (uint64_t i = 0; i < types->count; i++) {
		const struct type *type = types->arguments[i];
		uint64_t size = type->kind == KIND_BYTES ? 2 : 1;
		uint64_t *words = type->kind == KIND_FLOAT
					  ? place(registers + INT_REGISTERS, &floats, FLOAT_REGISTERS, &stack, 1)
					  : place(registers, &ints, INT_REGISTERS, &stack, size);
		struct words value = {words[0], size == 2 ? words[1] : 0};
		arguments[i] = copy_value(type, value, take_from_page);
	}
	own->message = HOST_CALL;
	own->index = import->index;
	own->value[0] = (uint64_t)arguments;
	ring();
	own->room = room;
	struct words value = {own->value[0], own->value[1]};
	uint64_t answer = own->message;
	/* What is told when the function that the host called returns without a word. */
	own->message = RESULT;
	if (answer == HOST_ERROR) {
		uint64_t index = own->index;
		const char *message = copy_string((const char *)value.first, take_from_heap);
		own->error = (uint64_t)message;
		own->error_index = index;
		jkvm_fail(message);
	}
	return copy_value(types->result, value, take_from_heap);
}
