// SPDX-License-Identifier: Apache-2.0
#include <linux/sched.h>

#define TASK_RUNNING 0u

static struct task_struct *volatile run_queue;

/* Called twice and not inlined: a static function with a symbol of its own. */
static noinline void enqueue_task(struct task_struct *task)
{
	task->next = run_queue;
	run_queue = task;
}

bool wake_up_process(struct task_struct *task)
{
	if (task->state == TASK_RUNNING)
		return 0;
	task->state = TASK_RUNNING;
	enqueue_task(task);
	return 1;
}

void schedule(void)
{
	struct task_struct *task = run_queue;

	if (!task)
		return;
	run_queue = task->next;
	enqueue_task(task);
}
