/* position.c -- see position.h. */
#include "engine/train/position.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const struct {
    const char *key;
    size_t offset;
} counters[] = {
    {"generation", offsetof(struct position, generation)},
    {"stage", offsetof(struct position, stage)},
    {"step", offsetof(struct position, step)},
    {"total_steps", offsetof(struct position, total_steps)},
    {"optim_steps", offsetof(struct position, optim_steps)},
    {"accumulated", offsetof(struct position, accumulated)},
    {"stage_ended", offsetof(struct position, stage_ended)},
    {"rested", offsetof(struct position, rested)},
    {"loss_count", offsetof(struct position, loss.count)},
    {"early_stop_wait", offsetof(struct position, callbacks.early_stop.wait)},
    {"plateau_wait", offsetof(struct position, callbacks.plateau.wait)},
    {"threads", offsetof(struct position, threads)},
};

/* Those that may be unknown are NaN, and null in the text. */
static const struct {
    const char *key;
    size_t offset;
    bool nullable;
} numbers[] = {
    {"loss_average", offsetof(struct position, loss.average), false},
    {"found_rate", offsetof(struct position, found_rate), false},
    {"seconds", offsetof(struct position, seconds), false},
    {"rate_factor", offsetof(struct position, callbacks.rate_factor), false},
    {"early_stop_best", offsetof(struct position, callbacks.early_stop.best), true},
    {"plateau_best", offsetof(struct position, callbacks.plateau.best), true},
};

static const struct {
    const char *key;
    size_t offset;
} all_scores[] = {
    {"latest", offsetof(struct position, latest)},
    {"best", offsetof(struct position, best)},
    {"stage_before", offsetof(struct position, stage_before)},
};

static void *field(struct position *position, size_t offset)
{
    return (char *)position + offset;
}

struct position position_start(void)
{
    struct position position = {.latest = scores_unknown(),
                                .best = scores_unknown(),
                                .stage_before = scores_unknown(),
                                .callbacks = callbacks_start()};
    for (int i = 0; i < RECIPE_MAX_STAGES; i++)
        position.stages[i] = stage_record_start();
    return position;
}

char *position_text(const struct position *position)
{
    struct position copy = *position;
    struct json *json = json_new_object();
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        json_set_integer(json, counters[i].key, *(int64_t *)field(&copy, counters[i].offset));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        json_set_number(json, numbers[i].key, *(double *)field(&copy, numbers[i].offset));
    for (size_t i = 0; i < ARRAY_LEN(all_scores); i++)
        scores_set(field(&copy, all_scores[i].offset), json_set_object(json, all_scores[i].key));
    stage_records_set(position->stages, (int)position->stage + 1, json, "stages");
    json_set_string(json, "plans", position->plans);
    json_set_string(json, "best_weights", position->best_weights);
    char *text = json_text(json);
    json_free(json);
    return text;
}

static enum status parse_fields(const struct json *json, struct position *p, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        int64_t *counter = field(p, counters[i].offset);
        *counter = json_integer(json, counters[i].key, -1);
        if (*counter < 0)
            return err_set(err, E_INVALID, "its position lacks \"%s\"", counters[i].key);
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        double *number = field(p, numbers[i].offset);
        *number = json_number(json, numbers[i].key, NAN);
        if (!isfinite(*number) && !numbers[i].nullable)
            return err_set(err, E_INVALID, "its \"%s\" is no number", numbers[i].key);
    }
    for (size_t i = 0; i < ARRAY_LEN(all_scores); i++) {
        struct scores *scores = field(p, all_scores[i].offset);
        *scores = scores_parse(json_get(json, all_scores[i].key));
    }
    stage_records_parse(json, "stages", p->stages, RECIPE_MAX_STAGES);
    snprintf(p->plans, sizeof p->plans, "%s", json_string(json, "plans", ""));
    snprintf(p->best_weights, sizeof p->best_weights, "%s", json_string(json, "best_weights", ""));
    return OK;
}

enum status position_parse(const char *text, struct position *position, struct err *err)
{
    struct json *json;
    enum status status = json_parse(text, strlen(text), &json, err);
    if (status != OK)
        return status;
    struct position parsed = position_start();
    status = parse_fields(json, &parsed, err);
    json_free(json);
    if (status == OK)
        *position = parsed;
    return status;
}
