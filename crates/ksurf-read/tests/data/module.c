#include "kernel.h"

static const char license[] __attribute__((section(".modinfo"), used)) = "license=GPL";
static const char magic[] __attribute__((section(".modinfo"), used)) = "vermagic=6.1.0-test-amd64 SMP";

__attribute__((section(".init.text"))) int my_init(struct request *request)
{
	static const char *const names[4];

	return submit(request, 0, names);
}

int probe(int value)
{
	return twice(value);
}
