/* A guest that gives back what it gets, in all types, and one of each of the host's functions. */
#include "jkvm-sandbox.h"

JKVM_RECORD(point, int x; double y;);
JKVM_RECORD(shape, bool filled; point from; point to; const char *name; jkvm_bytes data; float weight; long id;);

JKVM_IMPORT(void, host_nothing, (void));
JKVM_IMPORT(bool, host_not, (bool));
JKVM_IMPORT(int, host_int, (int));
JKVM_IMPORT(long, host_long, (long));
JKVM_IMPORT(float, host_float, (float));
JKVM_IMPORT(double, host_double, (double));
JKVM_IMPORT(const char *, host_string, (const char *));
JKVM_IMPORT(jkvm_bytes, host_bytes, (jkvm_bytes));
JKVM_IMPORT(const shape *, host_shape, (const shape *));
JKVM_IMPORT(long, host_many, (int, long, bool, const char *, jkvm_bytes, jkvm_bytes, int, double, float));
JKVM_IMPORT(long, host_throws, (const char *));

static long counter;

void nothing(void) {}
long count(void) { return ++counter; }
bool same_bool(bool v) { return v; }
int same_int(int v) { return v; }
long same_long(long v) { return v; }
float same_float(float v) { return v; }
double same_double(double v) { return v; }
const char *same_string(const char *v) { return v; }
jkvm_bytes same_bytes(jkvm_bytes v) { return v; }
const shape *same_shape(const shape *v) { return v; }
long add(long a, long b) { return a + b; }

long many(int a, long b, bool c, const char *d, jkvm_bytes e, jkvm_bytes f, int g, double h, float i)
{
	return a + b + c + (long)strlen(d) + (long)e.length + (long)f.length + g + (long)h + (long)i;
}

double nine(double a, double b, double c, double d, double e, double f, double g, double h, double i, float j)
{
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * (double)j;
}

jkvm_bytes reversed(jkvm_bytes in)
{
	unsigned char *out = jkvm_alloc(in.length);
	for (size_t i = 0; i < in.length; i++)
		out[i] = ((const unsigned char *)in.data)[in.length - 1 - i];
	return (jkvm_bytes){out, in.length};
}

const shape *twice(const shape *in)
{
	shape *out = jkvm_alloc(sizeof *out);
	*out = *in;
	out->from.x *= 2;
	out->from.y *= 2;
	out->id *= 2;
	return out;
}

void ask_nothing(void) { host_nothing(); }
bool ask_not(bool v) { return host_not(v); }
int ask_int(int v) { return host_int(v); }
long ask_long(long v) { return host_long(v); }
float ask_float(float v) { return host_float(v); }
double ask_double(double v) { return host_double(v); }
const char *ask_string(const char *v) { return host_string(v); }
jkvm_bytes ask_bytes(jkvm_bytes v) { return host_bytes(v); }
const shape *ask_shape(const shape *v) { return host_shape(v); }

long ask_many(int a, long b, bool c, const char *d, jkvm_bytes e, jkvm_bytes f, int g, double h, float i)
{
	return host_many(a, b, c, d, e, f, g, h, i);
}

/* Both the argument and all that the host answers must stay as they are. */
const char *ask_often(const char *first, int times)
{
	const char *last = first;
	for (int i = 0; i < times; i++) {
		void *mark = jkvm_mark();
		if (strcmp(host_string(first), last) == 0)
			jkvm_fail("the host gave the same");
		jkvm_release(mark);
	}
	return first;
}

void fail(const char *message) { jkvm_fail(message); }

long fail_late(const char *message)
{
	counter = 1000;
	jkvm_fail(message);
}

long ask_throws(const char *message) { return host_throws(message); }

static void try_host(void *message) { host_throws(message); }
static void try_nothing(void *message) { (void)message; }

const char *caught(const char *message)
{
	if (jkvm_catch(try_nothing, 0))
		jkvm_fail("nothing failed");
	const char *error = jkvm_catch(try_host, (void *)message);
	return error ? error : "none";
}

void caught_and_passed_on(const char *message) { jkvm_fail(jkvm_catch(try_host, (void *)message)); }

void caught_and_another(const char *message)
{
	jkvm_catch(try_host, (void *)message);
	jkvm_fail("another");
}

const char *null_string(void) { return 0; }
const shape *null_shape(void) { return 0; }
jkvm_bytes no_bytes(void) { return (jkvm_bytes){0, 0}; }

long allocate(long size, int times)
{
	long sum = 0;
	for (int i = 0; i < times; i++) {
		unsigned char *memory = jkvm_alloc((size_t)size);
		sum += memory[0] + memory[size - 1];
		memset(memory, 0xff, (size_t)size);
	}
	return sum;
}

jkvm_bytes zeros(long size) { return (jkvm_bytes){jkvm_alloc((size_t)size), (size_t)size}; }

JKVM_EXPORT(void, nothing, (void));
JKVM_EXPORT(long, count, (void));
JKVM_EXPORT(bool, same_bool, (bool));
JKVM_EXPORT(int, same_int, (int));
JKVM_EXPORT(long, same_long, (long));
JKVM_EXPORT(float, same_float, (float));
JKVM_EXPORT(double, same_double, (double));
JKVM_EXPORT(const char *, same_string, (const char *));
JKVM_EXPORT(jkvm_bytes, same_bytes, (jkvm_bytes));
JKVM_EXPORT(const shape *, same_shape, (const shape *));
JKVM_EXPORT(long, add, (long, long));
JKVM_EXPORT(long, many, (int, long, bool, const char *, jkvm_bytes, jkvm_bytes, int, double, float));
JKVM_EXPORT(double, nine, (double, double, double, double, double, double, double, double, double, float));
JKVM_EXPORT(jkvm_bytes, reversed, (jkvm_bytes));
JKVM_EXPORT(const shape *, twice, (const shape *));
JKVM_EXPORT(void, ask_nothing, (void));
JKVM_EXPORT(bool, ask_not, (bool));
JKVM_EXPORT(int, ask_int, (int));
JKVM_EXPORT(long, ask_long, (long));
JKVM_EXPORT(float, ask_float, (float));
JKVM_EXPORT(double, ask_double, (double));
JKVM_EXPORT(const char *, ask_string, (const char *));
JKVM_EXPORT(jkvm_bytes, ask_bytes, (jkvm_bytes));
JKVM_EXPORT(const shape *, ask_shape, (const shape *));
JKVM_EXPORT(long, ask_many, (int, long, bool, const char *, jkvm_bytes, jkvm_bytes, int, double, float));
JKVM_EXPORT(const char *, ask_often, (const char *, int));
JKVM_EXPORT(void, fail, (const char *));
JKVM_EXPORT(long, fail_late, (const char *));
JKVM_EXPORT(long, ask_throws, (const char *));
JKVM_EXPORT(const char *, caught, (const char *));
JKVM_EXPORT(void, caught_and_passed_on, (const char *));
JKVM_EXPORT(void, caught_and_another, (const char *));
JKVM_EXPORT(const char *, null_string, (void));
JKVM_EXPORT(const shape *, null_shape, (void));
JKVM_EXPORT(jkvm_bytes, no_bytes, (void));
JKVM_EXPORT(long, allocate, (long, int));
JKVM_EXPORT(jkvm_bytes, zeros, (long));
