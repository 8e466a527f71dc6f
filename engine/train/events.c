#include "engine/train/events.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"

#define INTERVAL      .25 /* seconds between two step headers */
#define PASS_INTERVAL 1.  /* between two of a pass */
#define PACE          .9  /* weight of the past in the smoothed time of a step */

/* An unfrozen step costs about twice a frozen one: the whole body's backward pass comes on top. One
 * on cached features runs the head alone. */
#define UNFROZEN_COST 2.0
#define CACHED_COST   .02

static struct json *header_new(const char *type)
{
    struct json *header = json_new_object();
    json_set_string(header, "type", type);
    return header;
}

static void send(struct events *events, struct json *header)
{
    events->hooks->send(events->hooks->context, header);
    json_free(header);
}

static bool group_trains(const struct graph *graph, int group)
{
    for (int i = 0; i < graph->n_params; i++)
        if (graph->params[i]->group == group && graph->params[i]->trainable)
            return true;
    return false;
}

static int64_t trainable_parameters(const struct graph *graph)
{
    int64_t n = 0;
    for (int i = 0; i < graph->n_params; i++)
        if (graph->params[i]->trainable)
            n += (int64_t)graph->params[i]->n_elements;
    return n;
}

int64_t events_peak_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}

static void set_cache(struct json *header, const struct feature_cache *cache)
{
    struct feature_cache_stats stats = feature_cache_stats(cache);
    json_set_integer(header, "cached_views", stats.views);
    json_set_integer(header, "cache_bytes", (int64_t)stats.bytes);
}

void events_stage(struct events *events, int64_t index, const struct feature_cache *cache)
{
    const struct recipe_stage *stage = &events->recipe->stages[index];
    struct json *header = header_new("stage");
    json_set_string(header, "stage", stage->name);
    json_set_integer(header, "stage_index", index);
    json_set_integer(header, "stages", events->recipe->n_stages);
    json_set_integer(header, "epochs", stage->epochs);
    json_set_integer(header, "steps", stage->schedule.steps);
    json_set_integer(header, "batch_size", stage->batch);
    json_set_integer(header, "groups", events->graph->n_groups);
    json_set_integer(header, "frozen_groups", stage->frozen_groups);
    json_set_integer(header, "trainable_parameters", trainable_parameters(events->graph));
    if (stage->phase == PHASE_PICTURES)
        json_set_integer(header, "size", stage->size);
    else
        json_set_string(header, "phase", recipe_phase_name(stage->phase));
    json_set_number(header, "sample_fraction", stage->sample.fraction);
    json_set_integer(header, "n_train", stage->n_train);
    json_set_integer(header, "n_valid", stage->n_valid);
    if (cache)
        set_cache(header, cache);
    events->step_seconds = events->step_tokens = 0;
    send(events, header);
}

/* --- remaining time --------------------------------------------------------------------------- */

/* What a step of a stage costs, in units that compare stages. */
static double step_cost(const struct recipe_stage *stage)
{
    if (stage->phase != PHASE_PICTURES)
        return stage->frozen_groups == 0 ? UNFROZEN_COST : 1;
    double pixels = (double)(stage->batch * stage->size * stage->size);
    if (stage->cached)
        return pixels * CACHED_COST;
    return pixels * (stage->frozen_groups == 0 ? UNFROZEN_COST : 1);
}

static int64_t epochs_left(const struct recipe_stage *stage, int64_t step)
{
    return stage->epochs - step / stage->steps_per_epoch;
}

static double eta_seconds(const struct events *events, const struct position *at)
{
    const struct recipe *recipe = events->recipe;
    const struct recipe_stage *now = &recipe->stages[at->stage];
    double second_per_cost = events->step_seconds / step_cost(now);
    double row = events->row_seconds;
    if (row <= 0) /* no validation yet: forward alone is about a third of a step */
        row = events->step_seconds / (double)now->batch / 3;
    double seconds = 0;
    for (int64_t i = at->stage; i < recipe->n_stages; i++) {
        const struct recipe_stage *stage = &recipe->stages[i];
        int64_t done = i == at->stage ? at->step : 0;
        seconds += (double)(stage->schedule.steps - done) * step_cost(stage) * second_per_cost;
        seconds += (double)(epochs_left(stage, done) * recipe_valid_rows(stage)) * row;
    }
    return seconds;
}

/* --- headers ---------------------------------------------------------------------------------- */

static void set_rates(struct json *header, const struct events *events, const struct position *at)
{
    const struct recipe_stage *stage = &events->recipe->stages[at->stage];
    double rates[ZOO_MAX_GROUPS];
    recipe_rates(stage, events->graph->n_groups, at->step - 1, rates);
    callbacks_rates(events->recipe, &at->callbacks, events->graph->n_groups, rates);
    struct json *list = json_set_array(header, "learning_rates");
    for (int i = 0; i < events->graph->n_groups; i++)
        json_add_number(list, group_trains(events->graph, i) ? rates[i] : 0);
    json_set_number(header, "momentum", schedule_momentum(&stage->schedule, at->step - 1));
}

static void set_place(struct json *header, const struct events *events, const struct position *at)
{
    const struct recipe_stage *stage = &events->recipe->stages[at->stage];
    json_set_integer(header, "stage_index", at->stage);
    json_set_integer(header, "epoch", at->step > 0 ? (at->step - 1) / stage->steps_per_epoch : 0);
    json_set_integer(header, "step", at->step);
}

static double smooth(double known, double value)
{
    return known > 0 ? PACE * known + (1 - PACE) * value : value;
}

void events_step(struct events *events, const struct position *at, int64_t tokens, double seconds)
{
    const struct recipe_stage *stage = &events->recipe->stages[at->stage];
    events->step_seconds = smooth(events->step_seconds, seconds);
    events->step_tokens = smooth(events->step_tokens, (double)tokens);
    double now = clock_seconds();
    if (now - events->last_step < INTERVAL && at->step < stage->schedule.steps)
        return;
    events->last_step = now;
    struct json *header = header_new("step");
    set_place(header, events, at);
    json_set_integer(header, "steps", stage->schedule.steps);
    json_set_number(header, "train_loss", smooth_loss_value(&at->loss));
    set_rates(header, events, at);
    json_set_number(header, "examples_per_second", (double)stage->batch / events->step_seconds);
    if (tokens > 0)
        json_set_number(header, "tokens_per_second", events->step_tokens / events->step_seconds);
    if (stage->phase == PHASE_LANGUAGE_MODEL)
        json_set_number(header, "perplexity", exp(smooth_loss_value(&at->loss)));
    json_set_number(header, "eta_seconds", eta_seconds(events, at));
    json_set_integer(header, "peak_memory_bytes", events_peak_memory());
    send(events, header);
}

void events_sweep_step(struct events *events, int64_t stage, const struct finder *finder,
                       double seconds)
{
    double now = clock_seconds(), rate = finder->rates[finder->n - 1];
    int64_t steps = finder->options.steps;
    if (now - events->last_step < INTERVAL && finder->n < steps)
        return;
    events->last_step = now;
    struct json *header = header_new("step");
    json_set_integer(header, "stage_index", stage);
    json_set_integer(header, "epoch", 0);
    json_set_integer(header, "step", finder->n);
    json_set_integer(header, "steps", steps);
    json_set_number(header, "train_loss", finder->smoothed[finder->n - 1]);
    struct json *rates = json_set_array(header, "learning_rates");
    for (int i = 0; i < events->graph->n_groups; i++)
        json_add_number(rates, group_trains(events->graph, i) ? rate : 0);
    json_set_null(header, "momentum");
    json_set_number(header, "examples_per_second",
                    (double)events->recipe->stages[stage].batch / seconds);
    json_set_number(header, "eta_seconds", (double)(steps - finder->n) * seconds);
    json_set_integer(header, "peak_memory_bytes", events_peak_memory());
    send(events, header);
}

void events_pass(struct events *events, const char *what, int64_t done, int64_t all)
{
    double now = clock_seconds();
    if (now - events->last_pass < PASS_INTERVAL && done < all)
        return;
    events->last_pass = now;
    struct json *header = header_new("progress");
    json_set_string(header, "what", what);
    json_set_integer(header, "done", done);
    json_set_integer(header, "total", all);
    send(events, header);
}

void events_validated(struct events *events, int64_t stage, double seconds)
{
    events->row_seconds = seconds / (double)recipe_valid_rows(&events->recipe->stages[stage]);
}

void events_epoch(struct events *events, const struct position *at, double seconds,
                  double tokens_per_second)
{
    struct json *header = header_new("epoch");
    set_place(header, events, at);
    json_remove(header, "step");
    scores_set(&at->latest, header);
    json_set_number(header, "seconds", seconds);
    if (tokens_per_second > 0)
        json_set_number(header, "tokens_per_second", tokens_per_second);
    send(events, header);
}

void events_checkpoint(struct events *events, const char *slot, const struct position *at)
{
    struct json *header = header_new("checkpoint");
    json_set_string(header, "slot", slot);
    set_place(header, events, at);
    scores_set(strcmp(slot, "best") == 0 ? &at->best : &at->latest, header);
    send(events, header);
}

void events_artifact(struct events *events, const char *name)
{
    struct json *header = header_new("artifact");
    json_set_string(header, "name", name);
    send(events, header);
}

void events_log(struct events *events, const char *format, ...)
{
    char detail[512];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    struct json *header = header_new("log");
    json_set_string(header, "detail", detail);
    send(events, header);
}

void events_warning(struct events *events, const char *code, const char *detail)
{
    struct json *header = header_new("warning");
    json_set_string(header, "code", code);
    json_set_string(header, "detail", detail);
    send(events, header);
}

void events_paused(struct events *events, bool by_recipe)
{
    struct json *header = header_new("paused");
    json_set_bool(header, "by_recipe", by_recipe);
    send(events, header);
}

static void set_text(struct json *header, const struct model_text *text)
{
    json_set_integer(header, "vocabulary", text->n_words);
    json_set_integer(header, "embedding", text->embedding);
    json_set_integer(header, "hidden", text->hidden);
    json_set_integer(header, "layers", text->layers);
    json_set_integer(header, "seq_len", text->seq_len);
    json_set_integer(header, "max_len", text->max_len);
    json_set_bool(header, "backwards", text->backwards);
}

void events_result(struct events *events, const char *weights_sha256, const struct scores *scores,
                   const struct model_info *info)
{
    struct json *header = header_new("result");
    if (weights_sha256)
        json_set_string(header, "weights_sha256", weights_sha256);
    scores_set(scores, header);
    if (info && model_info_is_text(info)) {
        set_text(header, &info->text);
        json_set_bool(header, "classifier", info->classes != NULL);
    }
    send(events, header);
}
