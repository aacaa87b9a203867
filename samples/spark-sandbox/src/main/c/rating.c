/*
 * What a stranger has written: rates a review. It works, for the most part.
 */
#include "jkvm-sandbox.h"

JKVM_IMPORT(int, weight, (const char *));

static bool is(const char *word, size_t length, const char *other) {
	return strlen(other) == length && memcmp(word, other, length) == 0;
}

static void rate_word(const char *word, size_t length, int *rating) {
	char copy[32];

	if (is(word, length, "forever"))
		for (;;)
			; /* a loop that does not end */
	if (is(word, length, "nowhere"))
		*(volatile int *)8 = 1; /* a pointer to nothing */
	if (is(word, length, "unspeakable"))
		jkvm_fail("there are no words for this");
	if (length >= sizeof copy)
		return;
	memcpy(copy, word, length);
	copy[length] = 0;
	*rating += weight(copy);
}

int rating(const char *review) {
	int sum = 0;

	while (*review) {
		size_t length = 0;

		while (review[length] && review[length] != ' ')
			length++;
		if (length > 0)
			rate_word(review, length, &sum);
		review += length;
		while (*review == ' ')
			review++;
	}
	return sum;
}
JKVM_EXPORT(int, rating, (const char *));
