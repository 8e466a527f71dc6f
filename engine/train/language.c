/* language.c -- the learner of language models: a stream of words, one plan, its state carried on
 * from batch to batch. */
#include <math.h>

#include "base/mem.h"
#include "engine/train/bptt.h"
#include "engine/train/learner.h"
#include "engine/train/stage_plans.h"
#include "engine/train/text_run.h"

struct language_stage {
    struct split items;         /* owned; of the pack */
    uint32_t *documents[2];     /* owned; of the corpus: training, validation */
    struct bptt *train, *valid; /* owned; valid NULL without validation texts */
    int64_t valid_rows;
};

static struct language_stage *own_of(const struct stage *stage)
{
    return stage->own;
}

static enum status open_plans(struct stage *stage, const struct run *run, int64_t index,
                              bool cached, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct stage_plans plans = stage_plans(&run->recipe, recipe, run->graph, cached);
    enum status status = plan_new(run->graph, &plans.train, &stage->train_plan, err);
    if (status == OK && recipe->n_valid > 0)
        status = plan_new(run->graph, &plans.valid, &stage->valid_plan, err);
    return status;
}

static enum status open_stream(const struct run *run, const struct recipe_stage *recipe,
                               const uint32_t *documents, uint32_t n, bool train,
                               struct bptt **bptt, struct err *err)
{
    struct bptt_options options = {
        .corpus = run->text->corpus,
        .documents = documents,
        .n_documents = n,
        .batch = train ? recipe->batch : recipe->valid_rows,
        .seq_len = run->text->options.seq_len,
        .shuffle = train,
        .backwards = run->text->options.backwards,
        .seed = run->recipe.seed,
    };
    return bptt_open(&options, bptt, err);
}

static enum status open_data(struct stage *stage, const struct run *run, int64_t index,
                             const struct stage_options *options, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct language_stage *text = mem_alloc(sizeof *text);
    (void)options;
    stage->own = text;
    *text = (struct language_stage){.valid_rows = recipe->valid_rows};
    enum status status = text_run_items(run->text, recipe, &text->items, err);
    if (status != OK)
        return status;
    text->documents[0] =
        text_corpus_find_all(run->text->corpus, text->items.train, text->items.n_train);
    text->documents[1] =
        text_corpus_find_all(run->text->corpus, text->items.valid, text->items.n_valid);
    stage->validates = stage->valid_plan != NULL;
    status =
        open_stream(run, recipe, text->documents[0], text->items.n_train, true, &text->train, err);
    if (status == OK && stage->validates)
        status = open_stream(run, recipe, text->documents[1], text->items.n_valid, false,
                             &text->valid, err);
    if (status == OK && bptt_steps(text->train) != recipe->steps_per_epoch)
        status = err_set(err, E_INTERNAL, "The stream has %lld steps an epoch, not %lld.",
                         (long long)bptt_steps(text->train), (long long)recipe->steps_per_epoch);
    return status;
}

static void close_all(struct stage *stage)
{
    struct language_stage *text = stage->own;
    plan_free(stage->train_plan);
    plan_free(stage->valid_plan);
    if (!text)
        return;
    bptt_close(text->train);
    bptt_close(text->valid);
    mem_free(text->documents[0]);
    mem_free(text->documents[1]);
    split_deinit(&text->items);
    mem_free(text);
}

/* --- steps ------------------------------------------------------------------------------------ */

/* An epoch begins with a state that knows nothing, as fastai's ModelResetter has it. */
static void begin(struct stage *stage, uint32_t number, uint32_t epoch, int64_t first_step)
{
    bptt_begin(own_of(stage)->train, number, epoch, first_step);
    if (first_step == 0)
        plan_clear_state(stage->train_plan, -1);
}

static enum status next_batch(struct bptt *bptt, struct plan *plan, int64_t most, int64_t *steps,
                              struct err *err)
{
    enum status status = plan_set_steps(plan, most, err);
    if (status != OK)
        return status;
    *steps = bptt_next(bptt, plan_tokens(plan), plan_targets(plan));
    return *steps > 0 && *steps < most ? plan_set_steps(plan, *steps, err) : OK;
}

static enum status gradients(struct stage *stage, const struct run *run, int64_t index,
                             int64_t draw, double *loss, struct err *err)
{
    struct plan *plan = stage->train_plan;
    int64_t steps = 0;
    enum status status =
        next_batch(own_of(stage)->train, plan, run->text->options.seq_len, &steps, err);
    if (status == OK && steps == 0)
        status = err_set(err, E_INTERNAL, "The stream of texts ended before its epoch.");
    if (status != OK)
        return status;
    stage->tokens = steps * run->recipe.stages[index].batch;
    plan_forward(plan, run->recipe.seed, (uint64_t)draw);
    *loss = plan_mean_loss(plan);
    if (isfinite(*loss))
        plan_backward(plan);
    return OK;
}

static void add_words(const struct plan *plan, int64_t n, struct evaluation *evaluation)
{
    const int32_t *targets = plan_targets((struct plan *)(uintptr_t)plan);
    const int32_t *words = plan_words(plan);
    for (int64_t i = 0; i < n; i++)
        evaluation->correct += words[i] == targets[i];
    evaluation->loss.loss += plan_mean_loss(plan) * (double)n;
    evaluation->loss.weight += (double)n;
    evaluation->rows += n;
}

static enum status validate(struct stage *stage, const struct run *run,
                            const struct stage_asked *asked, struct evaluation *evaluation,
                            struct err *err)
{
    struct plan *plan = stage->valid_plan;
    int64_t steps = 0, batch = own_of(stage)->valid_rows;
    enum status status = OK;
    *evaluation = (struct evaluation){.of_words = true};
    plan_refresh(plan);
    plan_clear_state(plan, -1);
    bptt_begin(own_of(stage)->valid, 0, 0, 0);
    while ((status = next_batch(own_of(stage)->valid, plan, run->text->options.seq_len, &steps,
                                err)) == OK &&
           steps > 0) {
        plan_forward(plan, 0, 0);
        add_words(plan, steps * batch, evaluation);
        if (asked->go_on && !asked->go_on(asked->context))
            return err_set(err, E_CANCELLED, "The training run was told to stop.");
    }
    return status;
}

static void hash(const struct stage *stage, char hex[SHA256_HEX])
{
    plan_hash(stage->train_plan, hex);
}

/* --- what is carried on ----------------------------------------------------------------------- */

static size_t carried_floats(const struct stage *stage)
{
    return plan_state_floats(stage->train_plan);
}

static void read_carried(const struct stage *stage, float *carried)
{
    plan_read_state(stage->train_plan, carried);
}

static void write_carried(struct stage *stage, const float *carried)
{
    plan_write_state(stage->train_plan, carried);
}

const struct learner learner_language = {
    .open_plans = open_plans,
    .open_data = open_data,
    .close = close_all,
    .begin = begin,
    .gradients = gradients,
    .validate = validate,
    .hash = hash,
    .carried_floats = carried_floats,
    .read_carried = read_carried,
    .write_carried = write_carried,
};
