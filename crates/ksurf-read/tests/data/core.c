#include "kernel.h"

const char linux_banner[] __attribute__((section(".rodata"), used)) = "Linux version 6.1.0-test-amd64 (test)";

volatile int sink;

/* Static, called from two places, kept out of line. */
static noinline int local(int value)
{
	return outside("local", value);
}

/* Inlined once, out of line once: its address is taken. */
static int selective(struct request *request, unsigned int flags)
{
	sink += flags;
	sink += request->number;
	return outside("selective", flags);
}

handler_t table[] = { selective };

int submit(struct request *request, handler_t handler, const char *const names[4])
{
	sink = chain(request->number);
	sink = local(1);
	sink = selective(request, 7);
	return handler(request, 2) + names[0][0];
}

int recursive(int depth)
{
	if (depth > sink)
		return local(depth);
	return recursive(depth + 1) * depth + 1;
}

void (*pick(int which))(void)
{
	return (void (*)(void))(long)local(which);
}
