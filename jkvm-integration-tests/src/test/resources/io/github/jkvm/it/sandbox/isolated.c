/* A guest without floating point, for a sandbox in a process of its own. */
#include "jkvm-sandbox.h"

JKVM_IMPORT(long, host_add, (long, long));
JKVM_IMPORT(long, host_meet, (long));

static long counter;

long count(void) { return ++counter; }
long add(long a, long b) { return a + b; }
jkvm_bytes same_bytes(jkvm_bytes v) { return v; }
long ask_add(long a, long b) { return host_add(a, b); }
long ask_meet(long v) { return host_meet(v); }
void write_null(void) { __asm__ volatile("movl $1, 8"); }
void loop(void) { for (;;); }

JKVM_EXPORT(long, count, (void));
JKVM_EXPORT(long, add, (long, long));
JKVM_EXPORT(jkvm_bytes, same_bytes, (jkvm_bytes));
JKVM_EXPORT(long, ask_add, (long, long));
JKVM_EXPORT(long, ask_meet, (long));
JKVM_EXPORT(void, write_null, (void));
JKVM_EXPORT(void, loop, (void));
