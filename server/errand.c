#include "server/errand.h"

#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

void errand_init(struct errand *errand, struct supervisor *supervisor, const struct work_kind *kind,
                 const char *prefix)
{
    errand->work.kind = kind;
    errand->work.supervisor = supervisor;
    id_new(prefix, errand->work.id);
    arena_init(&errand->arena);
    errand->folder = mem_printf("%s/tmp/%s", store_folder(supervisor->store), errand->work.id);
}

void errand_start(struct errand *errand, enum status status, const struct json *document,
                  double seconds)
{
    struct work *work = &errand->work;
    if (status == OK)
        status = work_launch(work, NULL, document, &work->failure);
    if (status)
        work->phase = WORK_SETTLE;
    else
        work_deadline(work, clock_seconds() + seconds);
    work_add(work->supervisor, work);
}

void errand_free(struct work *work)
{
    struct errand *errand = (struct errand *)work;
    struct err ignored;
    fs_remove_tree(errand->folder, &ignored); /* else the next start sweeps it */
    mem_free(errand->folder);
    arena_deinit(&errand->arena);
    mem_free(errand);
}

void errand_on_frame(struct work *work, const struct json *header)
{
    static const char *const known[] = {"started", "progress", "warning", "log"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(json_string(header, "type", ""), known[i]))
            return;
    work_violation(work, "a message of a type that this verb does not have.");
}

void errand_on_tick(struct work *work, double now)
{
    if (work->supervisor->stopping)
        work_deadline(work, now);
}

static void collect(struct task *task)
{
    struct errand *errand = (struct errand *)(void *)((char *)task - offsetof(struct errand, task));
    errand->status = errand->collect(errand, &errand->err);
}

static void name_death(struct errand *errand)
{
    struct work *work = &errand->work;
    char how[80];
    if (work->supervisor->stopping)
        err_set(&work->failure, E_UNAVAILABLE, "The server is shutting down: try again.");
    else if (work->ended.killed)
        err_set(&work->failure, E_INVALID,
                "The engine took too long over %s, more than %.0f seconds, and was ended.",
                errand->what, clock_seconds() - work->started_at);
    else
        err_set(&work->failure, E_INVALID, "The engine ended %s while it was at %s.",
                work_exit_text(&work->ended, how), errand->what);
    err_name(&work->failure, work->supervisor->stopping ? NULL : "engine_crashed", NULL);
}

enum work_phase errand_on_exit(struct work *work)
{
    struct errand *errand = (struct errand *)work;
    if (work->violated || work->failure.status)
        return WORK_SETTLE;
    if (!work->result) {
        name_death(errand);
        return WORK_SETTLE;
    }
    errand->collecting = true;
    errand->task.run = collect;
    tasks_add(work->supervisor->tasks, &errand->task);
    return WORK_FILES;
}

bool errand_files_are_done(struct work *work)
{
    return task_is_done(&((struct errand *)work)->task);
}

enum status errand_settle(struct work *work, struct err *err)
{
    (void)err;
    struct errand *errand = (struct errand *)work;
    struct err failure = work->failure;
    enum status status = failure.status;
    if (errand->collecting) {
        failure = errand->err;
        status = errand->status;
        if (status && status != E_NO_SPACE && !failure.code[0])
            err_name(&failure, "engine_protocol", NULL);
    }
    failure.status = status;
    errand->answer(errand, status, &failure);
    return OK;
}
