#include "kernel.h"

/* The same name as a static function of core.c. */
static noinline int local(char *text)
{
	return outside(text);
}

int drive(struct request *request)
{
	static const char *const names[4] = { "a", "b", "c", "d" };

	if (local("x"))
		return twice(3);
	return submit(request, 0, names);
}

__attribute__((noipa)) int outside(const char *format, ...)
{
	return format[0];
}

void _start(void)
{
	drive(0);
}
