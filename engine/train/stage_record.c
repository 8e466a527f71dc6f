#include "engine/train/stage_record.h"

#include <math.h>

struct stage_record stage_record_start(void)
{
    return (struct stage_record){.scores = scores_unknown()};
}

void stage_record_step(struct stage_record *record, int64_t tokens, double seconds)
{
    record->steps++;
    record->tokens += tokens;
    record->seconds += seconds;
}

void stage_records_set(const struct stage_record *records, int n, struct json *object,
                       const char *key)
{
    struct json *list = json_set_array(object, key);
    for (int i = 0; i < n; i++) {
        struct json *record = json_add_object(list);
        json_set_integer(record, "steps", records[i].steps);
        json_set_integer(record, "tokens", records[i].tokens);
        json_set_number(record, "seconds", records[i].seconds);
        scores_set(&records[i].scores, json_set_object(record, "scores"));
    }
}

void stage_records_parse(const struct json *object, const char *key, struct stage_record *records,
                         int n)
{
    const struct json *list = json_get(object, key);
    for (int i = 0; i < n; i++) {
        const struct json *record = json_at(list, (size_t)i);
        records[i] = (struct stage_record){.steps = json_integer(record, "steps", 0),
                                           .tokens = json_integer(record, "tokens", 0),
                                           .seconds = json_number(record, "seconds", 0),
                                           .scores = scores_parse(json_get(record, "scores"))};
    }
}

/* --- The report ------------------------------------------------------------------------------- */

static double pace(double n, double seconds)
{
    return seconds > 0 ? n / seconds : NAN;
}

static void add_stage(struct json *list, const struct recipe_stage *stage,
                      const struct stage_record *record)
{
    struct json *json = json_add_object(list);
    json_set_string(json, "stage", stage->name);
    if (stage->phase != PHASE_PICTURES)
        json_set_string(json, "phase", recipe_phase_name(stage->phase));
    json_set_integer(json, "steps", record->steps);
    json_set_integer(json, "n_train", stage->n_train);
    json_set_integer(json, "n_valid", stage->n_valid);
    scores_set(&record->scores, json);
    json_set_number(json, "seconds", record->seconds);
    if (stage->phase == PHASE_PICTURES) {
        double images = (double)(record->steps * stage->batch);
        json_set_number(json, "examples_per_second", pace(images, record->seconds));
        return;
    }
    json_set_integer(json, "tokens", record->tokens);
    json_set_number(json, "tokens_per_second", pace((double)record->tokens, record->seconds));
}

struct json *stage_records_report(const struct stage_record *records, const struct recipe *recipe)
{
    struct json *list = json_new_array();
    for (int i = 0; i < recipe->n_stages; i++)
        if (records[i].steps > 0)
            add_stage(list, &recipe->stages[i], &records[i]);
    return list;
}
