/* task.h -- a helper thread for what takes time: hashing, moving and fsyncing files.
 *
 * Tasks run one after the other in the order they were added. `run` works on the helper thread and
 * touches nothing of the adder's but its own task; when it is through, `ring` is called and the
 * adder finds task_is_done. A task is the adder's memory, and must outlive its run. */
#ifndef THAW_SERVER_TASK_H
#define THAW_SERVER_TASK_H

#include <stdatomic.h>
#include <stdbool.h>

struct tasks;

struct task {
    void (*run)(struct task *task);
    atomic_bool done;
};

struct tasks *tasks_start(void (*ring)(void *context), void *context);
void tasks_stop(struct tasks *tasks); /* finishes what was added, ends the thread, frees */

void tasks_add(struct tasks *tasks, struct task *task);
bool task_is_done(struct task *task);

#endif
