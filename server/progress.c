#include "server/progress.h"

#include <string.h>

#include "base/mem.h"

/* The object's fields; all are there from the start, but the last one, which is of texts alone. */
static const char *const fields[] = {
    "stage",
    "stage_index",
    "stages",
    "epoch",
    "epochs",
    "step",
    "steps",
    "fraction",
    "examples_per_second",
    "elapsed_seconds",
    "eta_seconds",
    "learning_rates",
    "momentum",
    "peak_memory_bytes",
    "pass",
    "tokens_per_second",
};
#define N_ALWAYS (ARRAY_LEN(fields) - 1)

/* Scores, and whether more is better. */
static const struct {
    const char *name;
    bool more_is_better;
    bool of_words; /* of language models: there where it is known alone */
} scores[] = {
    {"train_loss", false, false}, {"valid_loss", false, false}, {"accuracy", true, false},
    {"error_rate", false, false}, {"perplexity", false, true},
};

static struct json *parse(const char *text)
{
    struct json *value = NULL;
    struct err ignored;
    if (text && json_parse(text, strlen(text), &value, &ignored) == OK)
        return value;
    return NULL;
}

void progress_init(struct progress *progress, const struct json *spec, const char *now,
                   const char *latest, const char *best)
{
    struct json *before = parse(now);
    *progress = (struct progress){.spec = spec,
                                  .now = json_new_object(),
                                  .latest = parse(latest),
                                  .best = parse(best),
                                  .elapsed_before = json_number(before, "elapsed_seconds", 0)};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct json *known = json_get(before, fields[i]);
        if (known)
            json_set(progress->now, fields[i], json_copy(known));
        else if (i < N_ALWAYS)
            json_set_null(progress->now, fields[i]);
    }
    json_set_null(progress->now, "pass");
    json_free(before);
}

void progress_deinit(struct progress *progress)
{
    json_free(progress->now);
    json_free(progress->latest);
    json_free(progress->best);
    *progress = (struct progress){0};
}

struct json *progress_scores(const struct json *header)
{
    struct json *object = json_new_object();
    for (size_t i = 0; i < ARRAY_LEN(scores); i++) {
        const struct json *value = json_get(header, scores[i].name);
        if (value)
            json_set(object, scores[i].name, json_copy(value));
        else if (!scores[i].of_words)
            json_set_null(object, scores[i].name);
    }
    return object;
}

double progress_position(const struct json *header, const char *field)
{
    return json_number(header, "stage_index", 0) * 1e8 + json_number(header, field, 0);
}

/* Share of the whole run that is done: stages weigh as many epochs as they have. */
static double fraction(const struct progress *progress)
{
    double stage_index = json_number(progress->now, "stage_index", 0), all = 0, done = 0, i = 0;
    double steps = json_number(progress->now, "steps", 0);
    double part = steps > 0 ? json_number(progress->now, "step", 0) / steps : 0;
    json_each(stage, json_get(progress->spec, "stages"))
    {
        double epochs = json_number(stage, "epochs", 1);
        all += epochs;
        if (i < stage_index)
            done += epochs;
        else if (i == stage_index)
            done += epochs * (part < 1 ? part : 1);
        i += 1;
    }
    return all > 0 ? done / all : 0;
}

/* The better of two by the score the job watches: the one it saves the best by, else the
 * validation loss. */
static bool is_better(const struct progress *progress, const struct json *candidate)
{
    /* A language model's scores and those of the classifier after it say different things. */
    if (!json_get(candidate, "perplexity") != !json_get(progress->best, "perplexity"))
        return true;
    const char *monitor =
        json_string(json_get(progress->spec, "save_best"), "monitor", "valid_loss");
    for (size_t i = 0; i < ARRAY_LEN(scores); i++) {
        if (strcmp(scores[i].name, monitor) != 0)
            continue;
        const struct json *a = json_get(candidate, monitor), *b = json_get(progress->best, monitor);
        if (json_type(a) != JSON_NUMBER)
            return false;
        if (json_type(b) != JSON_NUMBER)
            return true;
        double difference = json_as_number(a, 0) - json_as_number(b, 0);
        return scores[i].more_is_better ? difference > 0 : difference < 0;
    }
    return false;
}

static void take_scores(struct progress *progress, const struct json *header)
{
    json_free(progress->latest);
    progress->latest = progress_scores(header);
    if (!is_better(progress, progress->latest))
        return;
    json_free(progress->best);
    progress->best = json_copy(progress->latest);
}

static void take_pass(struct progress *progress, const struct json *header)
{
    struct json *pass = json_set_object(progress->now, "pass");
    json_set_string(pass, "what", json_string(header, "what", "data"));
    json_set_integer(pass, "done", json_integer(header, "done", 0));
    json_set_integer(pass, "total", json_integer(header, "total", 0));
}

void progress_take(struct progress *progress, const struct json *header, double elapsed)
{
    const char *type = json_string(header, "type", "");
    json_set_number(progress->now, "elapsed_seconds", progress->elapsed_before + elapsed);
    if (!strcmp(type, "progress")) {
        take_pass(progress, header);
        return;
    }
    json_set_null(progress->now, "pass");
    if (!strcmp(type, "epoch"))
        take_scores(progress, header);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct json *value = json_get(header, fields[i]);
        if (value)
            json_set(progress->now, fields[i], json_copy(value));
    }
    if (!strcmp(type, "stage")) {
        json_set_integer(progress->now, "epoch", 0);
        json_set_integer(progress->now, "step", 0);
    }
    json_set_number(progress->now, "fraction", fraction(progress));
}

void progress_finish(struct progress *progress, double elapsed)
{
    json_set_number(progress->now, "fraction", 1);
    json_set_number(progress->now, "eta_seconds", 0);
    json_set_null(progress->now, "pass");
    json_set_number(progress->now, "elapsed_seconds", progress->elapsed_before + elapsed);
}
