#include "engine/train/footprint.h"

#include <string.h>

#include "base/mem.h"
#include "engine/data/loader.h"
#include "engine/train/stage_plans.h"

#define MIB            (1024.0 * 1024)
#define DECODER_BYTES  (4 * MIB) /* of each loader thread: an encoded picture and a decoded one */
#define SMALLEST_BATCH 2

/* --- Memory --- */

static double floats(double n)
{
    return n * (double)sizeof(float);
}

/* Values of all parameters; of those that train also gradients, two moments and, where gradients
 * are accumulated, their sums. */
static double parameter_bytes(const struct graph *graph, bool accumulates)
{
    double n = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        n += (double)param->n_stored * (param->trainable ? 4 + accumulates : 1);
    }
    return floats(n);
}

static double value_bytes(const struct graph *graph)
{
    double n = 0;
    for (int i = 0; i < graph->n_params; i++)
        n += (double)graph->params[i]->n_stored;
    return floats(n);
}

/* Of pictures decoded ahead and lent out, by one loader and its threads. */
static double loader_bytes(const struct recipe_stage *stage, int threads)
{
    if (stage->phase != PHASE_PICTURES)
        return 0; /* words are in a mapped file */
    double picture = floats((double)(stage->size * stage->size * 3));
    return (LOADER_AHEAD + 1) * (double)stage->batch * picture + threads * DECODER_BYTES;
}

/* What one stage's plans, made dry, come to. */
struct stage_cost {
    double plan_bytes, prefix_bytes; /* train and valid together; the cache's */
    double train_flops, valid_flops, prefix_flops;
};

static enum status add_plan(struct graph *graph, struct plan_options options, double *bytes,
                            double *flops, struct err *err)
{
    struct plan *plan = NULL;
    options.dry = true;
    enum status status = plan_new(graph, &options, &plan, err);
    if (status != OK)
        return status;
    *bytes += (double)plan_bytes(plan);
    *flops = plan_flops(plan);
    plan_free(plan);
    return OK;
}

/* A classifier of texts: its encoder runs once a chunk, its head once a batch. */
static enum status measure_head(const struct recipe_stage *stage, const struct stage_plans *plans,
                                struct graph *graph, struct stage_cost *cost, struct err *err)
{
    double flops = 0;
    cost->train_flops *= plans->chunks;
    cost->valid_flops *= plans->chunks;
    enum status status = add_plan(graph, plans->head_train, &cost->plan_bytes, &flops, err);
    cost->train_flops += flops;
    if (status == OK && stage->n_valid > 0)
        status = add_plan(graph, plans->head_valid, &cost->plan_bytes, &flops, err);
    return status;
}

static enum status measure(const struct recipe_stage *stage, const struct stage_plans *plans,
                           struct graph *graph, struct stage_cost *cost, struct err *err)
{
    *cost = (struct stage_cost){0};
    enum status status = add_plan(graph, plans->train, &cost->plan_bytes, &cost->train_flops, err);
    if (status == OK && stage->n_valid > 0)
        status = add_plan(graph, plans->valid, &cost->plan_bytes, &cost->valid_flops, err);
    if (status == OK && plans->has_head)
        status = measure_head(stage, plans, graph, cost, err);
    if (status == OK && plans->cut != NODE_NONE)
        status = add_plan(graph, plans->prefix, &cost->prefix_bytes, &cost->prefix_flops, err);
    return status;
}

static double stage_bytes(const struct recipe *recipe, const struct recipe_stage *stage,
                          const struct stage_plans *plans, const struct graph *graph,
                          const struct stage_cost *cost, int threads)
{
    double bytes = parameter_bytes(graph, recipe->accumulate > 0) + cost->plan_bytes;
    if (plans->cut != NODE_NONE) /* one pass fills the cache, then rows are read */
        return bytes + cost->prefix_bytes + loader_bytes(stage, threads);
    bytes += loader_bytes(stage, threads);
    return stage->n_valid > 0 ? bytes + loader_bytes(stage, threads) : bytes;
}

/* --- Arithmetic --- */

static double passes(int64_t items, int64_t batch)
{
    return (double)((items + batch - 1) / batch);
}

static double stage_flops(const struct recipe *recipe, const struct recipe_stage *stage,
                          const struct stage_plans *plans, const struct stage_cost *cost)
{
    double steps = (double)stage->schedule.steps;
    double flops = steps * cost->train_flops;
    flops +=
        (double)stage->epochs * passes(recipe_valid_rows(stage), stage->batch) * cost->valid_flops;
    if (plans->cut != NODE_NONE)
        flops += (recipe->cache_views * passes(stage->n_train, stage->batch) +
                  passes(stage->n_valid, stage->batch)) *
                 cost->prefix_flops;
    return flops / steps;
}

/* --- All stages --- */

static bool same_plans(const struct recipe_stage *a, const struct recipe_stage *b)
{
    return a->phase == b->phase && a->batch == b->batch && a->size == b->size &&
           a->frozen_groups == b->frozen_groups && (a->n_valid > 0) == (b->n_valid > 0);
}

/* Copies of the weights that a run keeps: the best epoch's, and what the finder puts back. */
static double copies_bytes(const struct recipe *recipe, const struct graph *graph)
{
    bool best = recipe->task != TASK_LR_FIND;
    bool finds = recipe->task == TASK_LR_FIND;
    for (int i = 0; i < recipe->n_stages; i++)
        finds |= recipe->stages[i].lr_auto;
    return (best + finds) * value_bytes(graph);
}

static enum recipe_phase first_phase(const struct recipe *recipe)
{
    if (!recipe->texts)
        return PHASE_PICTURES;
    return recipe->n_stages > 0 ? recipe->stages[0].phase : PHASE_CLASSIFIER;
}

enum status footprint_of(const struct recipe *recipe, int64_t classes, int threads,
                         struct footprint *footprint, struct err *err)
{
    enum recipe_phase phase = first_phase(recipe);
    struct graph *graph = recipe_graph(recipe, phase, classes);
    struct stage_cost cost = {0};
    enum status status = OK;
    double peak = 0;
    for (int i = 0; status == OK && i < recipe->n_stages; i++) {
        const struct recipe_stage *stage = &recipe->stages[i];
        if (stage->phase != phase) {
            graph_free(graph);
            phase = stage->phase;
            graph = recipe_graph(recipe, phase, classes);
        }
        struct stage_plans plans = stage_plans(recipe, stage, graph, stage->cached);
        if (i == 0 || !same_plans(stage, stage - 1))
            status = measure(stage, &plans, graph, &cost, err);
        double bytes = stage_bytes(recipe, stage, &plans, graph, &cost, threads);
        peak = bytes > peak ? bytes : peak;
        footprint->flops_per_step[i] = stage_flops(recipe, stage, &plans, &cost);
    }
    footprint->peak_memory_bytes =
        (int64_t)((double)FOOTPRINT_BASE + peak + copies_bytes(recipe, graph));
    graph_free(graph);
    return status;
}

enum status footprint_of_pass(struct graph *graph, const struct plan_options *plan,
                              const struct plan_options *head, int threads,
                              struct footprint_pass *pass, struct err *err)
{
    const struct recipe_stage stage = {.phase = head ? PHASE_CLASSIFIER : PHASE_PICTURES,
                                       .batch = plan->batch,
                                       .size = plan->height};
    double bytes = loader_bytes(&stage, threads) + value_bytes(graph);
    double flops = 0, head_flops = 0;
    enum status status = add_plan(graph, *plan, &bytes, &flops, err);
    if (status == OK && head)
        status = add_plan(graph, *head, &bytes, &head_flops, err);
    pass->flops_per_step = flops + head_flops;
    pass->peak_memory_bytes = (int64_t)((double)FOOTPRINT_BASE + bytes);
    return status;
}

/* --- Fitting --- */

static int64_t largest_batch(const struct recipe *recipe)
{
    int64_t largest = SMALLEST_BATCH;
    for (int i = 0; i < recipe->n_stages; i++)
        if (recipe->stages[i].batch > largest)
            largest = recipe->stages[i].batch;
    return largest;
}

/* The power of two below a batch. */
static int64_t next_smaller(int64_t batch)
{
    int64_t power = SMALLEST_BATCH;
    while (power * 2 < batch)
        power *= 2;
    return power;
}

/* A copy of the recipe with no stage's batch above `most`. */
static enum status with_batch(const struct recipe *recipe, int64_t most, struct recipe *copy,
                              struct err *err)
{
    *copy = *recipe;
    copy->stages = mem_alloc((size_t)recipe->n_stages * sizeof *copy->stages);
    memcpy(copy->stages, recipe->stages, (size_t)recipe->n_stages * sizeof *copy->stages);
    enum status status = OK;
    for (int i = 0; status == OK && i < copy->n_stages; i++)
        status = recipe_lower_batch(&copy->stages[i], most, err);
    if (status != OK)
        recipe_deinit(copy);
    return status;
}

static enum status does_not_fit(bool text, int64_t batch, int64_t needed, int64_t limit,
                                int64_t fits, struct err *err)
{
    if (fits == 0 && text)
        return err_at(err, E_NO_SPACE, "/text",
                      "Training would take %.0f MiB of memory even with a batch_size of %d, and "
                      "%.0f MiB are there: use a smaller text.max_vocab, text.max_len or model.",
                      (double)needed / MIB, SMALLEST_BATCH, (double)limit / MIB);
    if (fits == 0)
        return err_at(err, E_NO_SPACE, "/image/size",
                      "Training would take %.0f MiB of memory even with a batch_size of %d, and "
                      "%.0f MiB are there: use a smaller image.size or a smaller network.",
                      (double)needed / MIB, SMALLEST_BATCH, (double)limit / MIB);
    return err_at(err, E_NO_SPACE, "/batch_size",
                  "Training would take %.0f MiB of memory with a batch_size of %lld, and %.0f MiB "
                  "are there: a batch_size of %lld would fit.",
                  (double)needed / MIB, (long long)batch, (double)limit / MIB, (long long)fits);
}

/* Whether lowering to `most` changes only batches that are "auto". */
static bool is_free_to_lower(const struct recipe *recipe, int64_t most)
{
    for (int i = 0; i < recipe->n_stages; i++)
        if (recipe->stages[i].batch > most && !recipe->stages[i].batch_auto)
            return false;
    return true;
}

enum status footprint_fit(struct recipe *recipe, int64_t classes, int threads, int64_t limit,
                          struct footprint *footprint, struct err *err)
{
    enum status status = footprint_of(recipe, classes, threads, footprint, err);
    int64_t batch = largest_batch(recipe), needed = footprint->peak_memory_bytes;
    if (status != OK || limit <= 0 || needed <= limit)
        return status;
    for (int64_t most = next_smaller(batch); batch > SMALLEST_BATCH; most = next_smaller(most)) {
        struct recipe copy;
        status = with_batch(recipe, most, &copy, err);
        if (status == OK)
            status = footprint_of(&copy, classes, threads, footprint, err);
        if (status != OK)
            return status;
        bool fits = footprint->peak_memory_bytes <= limit;
        if (fits && most >= RECIPE_SMALLEST_AUTO && is_free_to_lower(recipe, most)) {
            recipe_deinit(recipe);
            *recipe = copy;
            return OK;
        }
        recipe_deinit(&copy);
        if (fits)
            return does_not_fit(recipe->texts, batch, needed, limit, most, err);
        if (most == SMALLEST_BATCH)
            break;
    }
    return does_not_fit(recipe->texts, batch, footprint->peak_memory_bytes, limit, 0, err);
}
