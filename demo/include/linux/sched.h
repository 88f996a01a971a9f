/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEMO_LINUX_SCHED_H
#define DEMO_LINUX_SCHED_H

#include <linux/version.h>

typedef _Bool bool;

#define noinline __attribute__((noinline))

struct task_struct {
	unsigned int state;
	int cpu;
	struct task_struct *next;
};

bool wake_up_process(struct task_struct *task);
void schedule(void);

#endif
