// SPDX-License-Identifier: Apache-2.0
#include <linux/sched.h>

/* The kernel's own words for its release: how a vmlinux tells which one it is. */
const char linux_banner[] = "Linux version " UTS_RELEASE " (ksurf@demo) (gcc) #1 SMP\n";

static const char *volatile saved_command_line;

static void setup_command_line(const char *command_line)
{
	saved_command_line = command_line;
}

void start_kernel(void)
{
	setup_command_line(linux_banner);
	for (;;)
		schedule();
}
