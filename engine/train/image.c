/* image.c -- the learner of pictures: plans behind a feature cache or not, a loader's batches,
 * mixing, one loss for every task. */
#include <math.h>
#include <stdio.h>

#include "engine/train/learner.h"
#include "engine/train/stage_plans.h"
#include "engine/train/validate.h"

static void close_plans(struct stage *stage)
{
    plan_free(stage->train_plan);
    plan_free(stage->valid_plan);
    plan_free(stage->prefix_plan);
    stage->train_plan = stage->valid_plan = stage->prefix_plan = NULL;
}

static enum status open_plans(struct stage *stage, const struct run *run, int64_t index,
                              bool cached, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct stage_plans plans = stage_plans(&run->recipe, recipe, run->graph, cached);
    enum status status = OK;
    stage->cut = plans.cut;
    stage->why_not = plans.why_not;
    if (plans.cut != NODE_NONE)
        status = plan_new(run->graph, &plans.prefix, &stage->prefix_plan, err);
    if (status == OK)
        status = plan_new(run->graph, &plans.train, &stage->train_plan, err);
    if (status == OK && recipe->n_valid > 0)
        status = plan_new(run->graph, &plans.valid, &stage->valid_plan, err);
    return status;
}

/* --- the feature cache ------------------------------------------------------------------------ */

static enum status fill_cache(struct stage *stage, const struct run *run, int64_t index,
                              const struct stage_options *options, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct feature_cache_options wanted = {
        .folder = options->folder,
        .run_sha256 = run->sha256,
        .pack = run->pack,
        .graph = run->graph,
        .cut = stage->cut,
        .row_floats = plan_input_row(stage->train_plan),
        .size = recipe->size,
        .batch = recipe->batch,
        .views = run->recipe.cache_views,
        .augment = recipe->augment,
        .seed = run->recipe.seed,
        .train = stage->split.train,
        .valid = stage->split.valid,
        .n_train = stage->split.n_train,
        .n_valid = stage->split.n_valid,
        .threads = options->threads,
    };
    plan_refresh(stage->prefix_plan);
    enum status status = feature_cache_open(&wanted, &stage->cache, options->warning, err);
    if (status == OK)
        status = feature_cache_fill(stage->cache, stage->prefix_plan, options->go_on,
                                    options->context, err);
    plan_free(stage->prefix_plan);
    stage->prefix_plan = NULL;
    return status;
}

/* The stage trains on pictures after all. */
static enum status do_without_cache(struct stage *stage, const struct run *run, int64_t index,
                                    const struct stage_options *options, struct err *err)
{
    snprintf(options->warning, FEATURE_CACHE_WARNING,
             "Training goes on without cached features: %.200s", err->detail);
    feature_cache_close(stage->cache);
    stage->cache = NULL;
    struct split split = stage->split;
    close_plans(stage);
    enum status status = open_plans(stage, run, index, false, err);
    stage->split = split;
    return status;
}

static enum status open_cache(struct stage *stage, const struct run *run, int64_t index,
                              const struct stage_options *options, struct err *err)
{
    options->warning[0] = '\0';
    if (stage->cut == NODE_NONE)
        return OK;
    struct err why = {0};
    enum status status = fill_cache(stage, run, index, options, &why);
    if (status == OK)
        return OK;
    *err = why;
    if (status == E_NO_SPACE || status == E_IO)
        return do_without_cache(stage, run, index, options, err);
    return status;
}

/* --- batches ---------------------------------------------------------------------------------- */

static enum status open_batches(const struct stage *stage, const struct run *run,
                                const struct loader_options *options, struct batches **batches,
                                struct err *err)
{
    if (stage->cache)
        return batches_open_cached(stage->cache, run->pack, options, batches, err);
    return batches_open(run->pack, options, batches, err);
}

static enum status open_both_batches(struct stage *stage, const struct run *run, int64_t index,
                                     int threads, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct loader_options options = {
        .pass = LOADER_TRAIN,
        .items = stage->split.train,
        .n_items = stage->split.n_train,
        .batch_size = (int)recipe->batch,
        .size = (int)recipe->size,
        .threads = threads,
        .seed = run->recipe.seed,
        .augment = recipe->augment,
        .sampler = run->recipe.balanced ? SAMPLER_BALANCED : SAMPLER_SHUFFLED,
    };
    enum status status = open_batches(stage, run, &options, &stage->train, err);
    options.pass = LOADER_VALID;
    options.items = stage->split.valid;
    options.n_items = stage->split.n_valid;
    stage->validates = stage->split.n_valid > 0;
    if (status == OK && stage->validates)
        status = open_batches(stage, run, &options, &stage->valid, err);
    if (status == OK && batches_steps(stage->train) != recipe->steps_per_epoch)
        status =
            err_set(err, E_INTERNAL, "The loader has %lld steps an epoch, not %lld.",
                    (long long)batches_steps(stage->train), (long long)recipe->steps_per_epoch);
    return status;
}

static enum status open_data(struct stage *stage, const struct run *run, int64_t index,
                             const struct stage_options *options, struct err *err)
{
    const struct recipe *recipe = &run->recipe;
    const struct recipe_stage *own = &recipe->stages[index];
    enum status status = recipe_split(recipe, own, run->pack, &run->split, &stage->split, err);
    if (status == OK)
        status = loss_init(&stage->loss, &recipe->loss, run->pack, stage->split.train,
                           stage->split.n_train, err);
    if (status == OK)
        status = open_cache(stage, run, index, options, err);
    if (status == OK)
        status = mix_init(&stage->mix, &recipe->mix, recipe->seed, own->batch, run->classes, err);
    return status == OK ? open_both_batches(stage, run, index, options->threads, err) : status;
}

static void close_all(struct stage *stage)
{
    batches_close(stage->train);
    batches_close(stage->valid);
    feature_cache_close(stage->cache);
    close_plans(stage);
    mix_deinit(&stage->mix);
    loss_deinit(&stage->loss);
    split_deinit(&stage->split);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void begin(struct stage *stage, uint32_t number, uint32_t epoch, int64_t first_step)
{
    batches_begin(stage->train, number, epoch, first_step);
}

static enum status gradients(struct stage *stage, const struct run *run, int64_t index,
                             int64_t draw, double *loss, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct plan *plan = stage->train_plan;
    struct batch batch;
    enum status status = batches_next(stage->train, &batch, err);
    if (status != OK)
        return status;
    if (batch.count != recipe->batch)
        return err_set(err, E_INTERNAL, "The loader gave %d items, not %lld.", batch.count,
                       (long long)recipe->batch);
    const float *soft = mix_batch(&stage->mix, &stage->loss, &batch, recipe->size, (uint64_t)draw,
                                  plan_input(plan));
    plan_forward(plan, run->recipe.seed, (uint64_t)draw);
    *loss = loss_train(&stage->loss, plan_output(plan), &batch, soft, plan_output_gradient(plan));
    if (isfinite(*loss))
        plan_backward(plan);
    return OK;
}

static enum status validate_items(struct stage *stage, const struct run *run,
                                  const struct stage_asked *asked, struct evaluation *evaluation,
                                  struct err *err)
{
    struct pass pass = {.plan = stage->valid_plan,
                        .batches = stage->valid,
                        .loss = &stage->loss,
                        .classes = run->classes,
                        .threshold = run->recipe.threshold,
                        .go_on = asked->go_on,
                        .context = asked->context};
    return validate(&pass, evaluation, err);
}

static void hash(const struct stage *stage, char hex[SHA256_HEX])
{
    plan_hash(stage->train_plan, hex);
}

const struct learner learner_image = {
    .open_plans = open_plans,
    .open_data = open_data,
    .close = close_all,
    .begin = begin,
    .gradients = gradients,
    .validate = validate_items,
    .hash = hash,
};
