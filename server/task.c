#include "server/task.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/queue.h"

#define CAPACITY 256 /* more than there are engines at work */

struct tasks {
    struct queue *queue; /* owned */
    pthread_t thread;
    void (*ring)(void *context);
    void *context;
};

static void *run_tasks(void *argument)
{
    struct tasks *tasks = argument;
    for (struct task *task; (task = queue_pop(tasks->queue));) {
        task->run(task);
        atomic_store(&task->done, true);
        tasks->ring(tasks->context);
    }
    return NULL;
}

struct tasks *tasks_start(void (*ring)(void *context), void *context)
{
    struct tasks *tasks = mem_alloc(sizeof *tasks);
    tasks->queue = queue_new(CAPACITY);
    tasks->ring = ring;
    tasks->context = context;
    if (pthread_create(&tasks->thread, NULL, run_tasks, tasks) == 0)
        return tasks;
    queue_free(tasks->queue);
    mem_free(tasks);
    return NULL;
}

void tasks_stop(struct tasks *tasks)
{
    if (!tasks)
        return;
    queue_close(tasks->queue);
    pthread_join(tasks->thread, NULL);
    queue_free(tasks->queue);
    mem_free(tasks);
}

void tasks_add(struct tasks *tasks, struct task *task)
{
    atomic_store(&task->done, false);
    queue_push(tasks->queue, task);
}

bool task_is_done(struct task *task)
{
    return atomic_load(&task->done);
}
