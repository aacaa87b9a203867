/* The guest of scripts/bench sandbox: functions that do next to nothing, so that what is measured is the way to them. */
#include "jkvm-sandbox.h"

JKVM_IMPORT(void, host_nothing, (void));

void nothing(void) {}

long add(long a, long b) { return a + b; }

/* Takes a string and bytes, and gives the string back. */
const char *echo(const char *text, jkvm_bytes bytes)
{
	return bytes.length ? text : "";
}

void call_host(int count)
{
	for (int i = 0; i < count; i++)
		host_nothing();
}

JKVM_EXPORT(void, nothing, (void));
JKVM_EXPORT(long, add, (long, long));
JKVM_EXPORT(const char *, echo, (const char *, jkvm_bytes));
JKVM_EXPORT(void, call_host, (int));
