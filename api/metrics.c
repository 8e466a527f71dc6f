/* metrics.c -- a job's history: one row an epoch, from the `epoch` events that are kept for ever.
 *
 * A job that went on from a checkpoint may have done an epoch twice: the later one counts. */
#include <string.h>

#include "api/handlers.h"
#include "api/list.h"
#include "api/render.h"
#include "api/spec/jobspec.h"
#include "base/clock.h"

#define READ_ROWS 1000
#define MAX_TEXT  (16u << 20)

/* What of an epoch's event is a metric, and the CSV's columns after stage and epoch. */
static const char *const metric_names[] = {"train_loss", "valid_loss", "accuracy",
                                           "error_rate", "perplexity", "tokens_per_second"};
#define N_OF_TEXTS 2 /* the last ones; perplexity is null in classifiers' epochs */

static size_t count_metrics(const struct json *spec)
{
    return ARRAY_LEN(metric_names) - (jobspec_is_text(spec) ? 0 : N_OF_TEXTS);
}

static const char *stage_name(const struct json *spec, int64_t index)
{
    const struct json *stages = json_get(spec, "stages");
    if (index < 0 || (uint64_t)index >= json_len(stages))
        return NULL;
    return json_string(json_at(stages, (size_t)index), "name", NULL);
}

static void copy_number(struct json *to, const struct json *from, const char *key, const char *as)
{
    const struct json *value = json_get(from, key);
    if (json_type(value) == JSON_NUMBER)
        json_set_number(to, as, json_as_number(value, 0));
    else
        json_set_null(to, as);
}

static struct json *render_epoch(const struct event_row *event, const struct json *spec)
{
    struct json *data = NULL, *row = json_new_object();
    char time[CLOCK_TEXT];
    json_parse(event->data, strlen(event->data), &data, NULL);
    int64_t stage_index = json_integer(data, "stage_index", -1);
    json_set_string(row, "stage", stage_name(spec, stage_index));
    copy_number(row, data, "stage_index", "stage_index");
    copy_number(row, data, "epoch", "epoch");
    for (size_t i = 0; i < count_metrics(spec); i++)
        copy_number(row, data, metric_names[i], metric_names[i]);
    copy_number(row, data, "seconds", "time");
    clock_format(event->time_ms, time);
    json_set_string(row, "finished_at", time);
    json_free(data);
    return row;
}

static bool comes_before(const struct json *a, const struct json *b)
{
    int64_t stage_a = json_integer(a, "stage_index", -1);
    int64_t stage_b = json_integer(b, "stage_index", -1);
    if (stage_a != stage_b)
        return stage_a < stage_b;
    return json_integer(a, "epoch", -1) < json_integer(b, "epoch", -1);
}

/* The rows of a job, in order: one that is not before its successor gives way to it. */
struct history {
    struct json **rows; /* owned, as is each */
    size_t n, capacity;
    size_t n_metrics; /* of each row */
};

static void history_add(struct history *history, struct json *row)
{
    while (history->n > 0 && !comes_before(history->rows[history->n - 1], row))
        json_free(history->rows[--history->n]);
    if (history->n == history->capacity) {
        history->capacity = history->capacity ? 2 * history->capacity : 32;
        history->rows = mem_realloc(history->rows, history->capacity * sizeof(*history->rows));
    }
    history->rows[history->n++] = row;
}

static void history_deinit(struct history *history)
{
    for (size_t i = 0; i < history->n; i++)
        json_free(history->rows[i]);
    mem_free(history->rows);
}

static enum status read_history(struct app *app, const struct job_row *job, struct history *history,
                                struct err *err)
{
    struct event_filter filter = {.job = job->id, .type = "epoch", .limit = READ_ROWS};
    struct event_list list = {.has_more = true};
    struct json *spec = NULL;
    enum status status = OK;
    json_parse(job->spec, strlen(job->spec), &spec, NULL);
    history->n_metrics = count_metrics(spec);
    while (!status && list.has_more) {
        struct arena arena;
        arena_init(&arena);
        status = events_list(app->store, &filter, &arena, &list, err);
        for (size_t i = 0; !status && i < list.n; i++) {
            history_add(history, render_epoch(&list.rows[i], spec));
            filter.after = list.rows[i].seq;
        }
        arena_deinit(&arena);
    }
    json_free(spec);
    return status;
}

static void put_csv_number(struct buf *out, const struct json *row, const char *key)
{
    const struct json *value = json_get(row, key);
    buf_puts(out, ",");
    if (json_type(value) == JSON_NUMBER)
        json_print(value, out);
}

static void put_csv(struct buf *out, const struct history *history)
{
    buf_puts(out, "stage,epoch");
    for (size_t i = 0; i < history->n_metrics; i++)
        buf_printf(out, ",%s", metric_names[i]);
    buf_puts(out, ",time\n");
    for (size_t i = 0; i < history->n; i++) {
        const struct json *row = history->rows[i];
        const char *stage = json_string(row, "stage", "");
        /* A spreadsheet would take such a cell for a formula. */
        buf_printf(out, strchr("=+-@", *stage) && *stage ? "'%s" : "%s", stage);
        put_csv_number(out, row, "epoch");
        for (size_t k = 0; k < history->n_metrics; k++)
            put_csv_number(out, row, metric_names[k]);
        put_csv_number(out, row, "time");
        buf_puts(out, "\n");
    }
}

static void put_ndjson(struct buf *out, const struct history *history)
{
    for (size_t i = 0; i < history->n; i++) {
        json_print(history->rows[i], out);
        buf_puts(out, "\n");
    }
}

static void reply_lines(struct reply *reply, const struct request *request, const char *type,
                        void (*put)(struct buf *, const struct history *),
                        const struct history *history)
{
    struct buf text;
    buf_init(&text, MAX_TEXT);
    put(&text, history);
    reply_text(reply, 200, type, arena_strndup(request->arena, text.data, text.len), text.len);
    buf_deinit(&text);
}

static void reply_list(struct reply *reply, const struct request *request, struct history *history)
{
    struct json *data = json_new_array();
    for (size_t i = 0; i < history->n; i++)
        json_add(data, history->rows[i]);
    history->n = 0; /* the array has them now */
    reply_json(reply, request, 200, render_list(data, false, "epoch"));
}

enum status jobs_metrics(struct app *app, const struct request *request, struct reply *reply,
                         struct err *err)
{
    struct job_row job;
    struct history history = {0};
    enum status status =
        job_get(app->store, request_param(request, "id"), request->arena, &job, err);
    if (!status)
        status = read_history(app, &job, &history, err);
    if (!status && request_accepts(request, "text/csv"))
        reply_lines(reply, request, "text/csv; charset=utf-8", put_csv, &history);
    else if (!status && request_accepts(request, "application/x-ndjson"))
        reply_lines(reply, request, "application/x-ndjson", put_ndjson, &history);
    else if (!status)
        reply_list(reply, request, &history);
    history_deinit(&history);
    return status;
}
