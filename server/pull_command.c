#include "server/pull_command.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/nearest.h"
#include "server/pull.h"
#include "server/pull_fetch.h"
#include "server/supervisor.h"
#include "store/models.h"

#define BAR           30
#define SHOWN_SECONDS .2

struct show {
    const struct base_model *base;
    bool terminal;
    double shown_at, rate_at, rate; /* bytes a second */
    uint64_t rate_done;
    int tenths; /* told, where there is no terminal */
};

static void measure(struct show *show, uint64_t done, double now)
{
    if (show->rate_at == 0) {
        show->rate_at = now;
        show->rate_done = done;
    } else if (now >= show->rate_at + 1) {
        show->rate = (double)(done - show->rate_done) / (now - show->rate_at);
        show->rate_at = now;
        show->rate_done = done;
    }
}

static void draw(const struct show *show, uint64_t done, uint64_t total)
{
    char bar[BAR + 1];
    size_t filled = (size_t)(done * BAR / total);
    memset(bar, '.', BAR);
    memset(bar, '#', filled < BAR ? filled : BAR);
    bar[BAR] = 0;
    fprintf(stderr, "\r%s [%s] %3llu %%  %.1f of %.1f MiB  %.1f MiB/s ", show->base->name, bar,
            (unsigned long long)(done * 100 / total), (double)done / (1 << 20),
            (double)total / (1 << 20), show->rate / (1 << 20));
}

/* A bar that moves on a terminal; a line for each tenth elsewhere. */
static bool told(void *context, uint64_t done, uint64_t total)
{
    struct show *show = context;
    double now = clock_seconds();
    if (total == 0)
        return true;
    measure(show, done, now);
    if (show->terminal && (now >= show->shown_at + SHOWN_SECONDS || done == total)) {
        show->shown_at = now;
        draw(show, done, total);
    } else if (!show->terminal && (int)(done * 10 / total) > show->tenths) {
        show->tenths = (int)(done * 10 / total);
        fprintf(stderr, "%s: %d %% of %.1f MiB\n", show->base->name, show->tenths * 10,
                (double)total / (1 << 20));
    }
    return true;
}

static bool pause_before(void *context, double seconds, const struct err *err)
{
    const struct show *show = context;
    struct timespec time = {.tv_sec = (time_t)seconds};
    fprintf(stderr, "%s%s Trying again in %.0f s.\n", show->terminal ? "\n" : "", err->detail,
            seconds);
    nanosleep(&time, NULL);
    return true;
}

static void fetched(void *context, const char *file, const char *sha256)
{
    const struct show *show = context;
    fprintf(stderr, "%s%s has the SHA-256 %s\n", show->terminal ? "\n" : "", file, sha256);
}

static void list(void)
{
    printf("%-18s %10s %10s  %s\n", "name", "accuracy", "MiB", "published file");
    for (size_t i = 0; i < n_base_models; i++) {
        const struct base_model *base = &base_models[i];
        char accuracy[16] = "-";
        if (base->accuracy > 0)
            snprintf(accuracy, sizeof accuracy, "%.3f", base->accuracy);
        if (base->file)
            printf("%-18s %10s %10.1f  %s%s\n", base->name, accuracy, base->mebibytes,
                   base->url ? base->url : BASE_MODELS_URL, base->file);
    }
}

static enum status find(const char *name, const struct base_model **base, struct err *err)
{
    struct nearest nearest = {.word = name};
    *base = base_model_find(name);
    if (*base && (*base)->file)
        return OK;
    for (size_t i = 0; i < n_base_models; i++)
        if (base_models[i].file)
            nearest_offer(&nearest, base_models[i].name);
    if (*base)
        return err_set(err, E_INVALID, "There is no published file of %s: it comes with Thaw.",
                       name);
    if (nearest.best)
        return err_set(err, E_INVALID, "There is no base model \"%.60s\"; did you mean %s?", name,
                       nearest.best);
    return err_set(err, E_INVALID,
                   "There is no base model \"%.60s\": thawd pull lists those there are.", name);
}

/* Whether there is nothing to do. */
static enum status look(struct store *store, const char *name, bool *available, struct err *err)
{
    struct arena arena;
    struct model_row row;
    arena_init(&arena);
    char *id = mem_printf("mdl_%s", name);
    enum status status = model_get(store, id, &arena, &row, err);
    *available = status == OK && row.available;
    mem_free(id);
    arena_deinit(&arena);
    return status;
}

static enum status pull_into(struct store *store, const struct base_model *base,
                             const struct config *config, const char *engine, struct err *err)
{
    struct supervisor *supervisor = NULL;
    struct supervisor_options options = {
        .store = store, .engine = engine, .sandbox = config->sandbox, .imports_only = true};
    struct show show = {.base = base, .terminal = isatty(STDERR_FILENO)};
    enum status status = supervisor_start(&options, &supervisor, err);
    if (status != OK)
        return status;
    struct pull pull = {.store = store,
                        .base_url = config->pull_base,
                        .min_free = (uint64_t)config->min_free,
                        .supervisor = supervisor,
                        .import = supervisor_import,
                        .context = &show,
                        .fetched = fetched,
                        .told = told,
                        .pause = pause_before};
    status = pull_model(&pull, base, err);
    if (show.terminal)
        fputc('\n', stderr);
    supervisor_stop(supervisor);
    return status;
}

enum status pull_command(const char *name, const struct config *config, const char *engine,
                         struct err *err)
{
    const struct base_model *base = NULL;
    struct store *store = NULL;
    bool available = false;
    if (!name) {
        list();
        return OK;
    }
    enum status status = find(name, &base, err);
    if (status == OK)
        status = fetch_begin(err);
    if (status == OK)
        status = store_open(config->data, &store, err);
    if (status == E_CONFLICT)
        err_name(err, NULL, "Where a server has it, ask that: POST /v1/models {\"pull\": NAME}.");
    if (status != OK)
        return status;
    status = look(store, name, &available, err);
    if (status == OK && !available)
        status = pull_into(store, base, config, engine, err);
    store_close(store);
    if (status == OK)
        printf("%s %s in %s\n", name, available ? "is there already" : "is ready", config->data);
    return status;
}
