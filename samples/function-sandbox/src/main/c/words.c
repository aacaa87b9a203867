/* The guest: finds the longest word of a text, and tells the host what it does. One function is up to no good. */
#include "jkvm-sandbox.h"

JKVM_RECORD(word, const char *text; int length;);
JKVM_IMPORT(void, log_line, (const char *));

static long calls;

const word *longest(const char *text)
{
	word *best = jkvm_alloc(sizeof *best);
	calls++;
	log_line("the guest reads");
	for (const char *at = text; *at;) {
		const char *start = at;
		while (*at && *at != ' ')
			at++;
		if (at - start > best->length) {
			best->length = (int)(at - start);
			char *copy = jkvm_alloc((size_t)best->length + 1);
			memcpy(copy, start, (size_t)best->length);
			best->text = copy;
		}
		while (*at == ' ')
			at++;
	}
	if (!best->text)
		jkvm_fail("there is no word");
	return best;
}

long called(void) { return calls; }

void misbehave(void)
{
	calls = 1000;
	for (;;)
		__asm__ volatile("");
}

JKVM_EXPORT(const word *, longest, (const char *));
JKVM_EXPORT(long, called, (void));
JKVM_EXPORT(void, misbehave, (void));
