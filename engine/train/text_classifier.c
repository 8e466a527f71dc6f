/* text_classifier.c -- the learner of classifiers of texts: batches by length, the encoder chunk by
 * chunk (text_chunks.h), the loss that pictures have, too. */
#include <math.h>

#include "base/mem.h"
#include "engine/op/xent.h"
#include "engine/train/learner.h"
#include "engine/train/text_batches.h"
#include "engine/train/text_chunks.h"
#include "engine/train/text_run.h"

struct classifier_stage {
    struct text_chunks *train_chunks, *valid_chunks; /* owned */
    struct text_batches *train, *valid;              /* owned */
    uint32_t *documents;                             /* owned; (batch) of the present one */
};

static struct classifier_stage *own_of(struct stage *stage)
{
    if (!stage->own)
        stage->own = mem_alloc(sizeof(struct classifier_stage));
    return stage->own;
}

static enum status open_plans(struct stage *stage, const struct run *run, int64_t index,
                              bool cached, struct err *err)
{
    const struct recipe_stage *recipe = &run->recipe.stages[index];
    struct classifier_stage *text = own_of(stage);
    struct text_chunks_options options = text_run_chunks(&run->text->options, recipe, PLAN_TRAIN);
    (void)cached;
    enum status status = text_chunks_new(run->graph, &options, &text->train_chunks, err);
    options.mode = PLAN_INFER;
    if (status == OK && recipe->n_valid > 0)
        status = text_chunks_new(run->graph, &options, &text->valid_chunks, err);
    return status;
}

static enum status open_data(struct stage *stage, const struct run *run, int64_t index,
                             const struct stage_options *stage_options, struct err *err)
{
    const struct recipe *recipe = &run->recipe;
    const struct recipe_stage *own = &recipe->stages[index];
    struct classifier_stage *text = own_of(stage);
    (void)stage_options;
    enum status status = recipe_split(recipe, own, run->pack, &run->split, &stage->split, err);
    if (status == OK)
        status = loss_init(&stage->loss, &recipe->loss, run->pack, stage->split.train,
                           stage->split.n_train, err);
    if (status != OK)
        return status;
    struct text_batches_options options = {
        .pack = run->pack,
        .corpus = run->text->corpus,
        .items = stage->split.train,
        .n_items = stage->split.n_train,
        .batch = own->batch,
        .train = true,
        .balanced = recipe->balanced,
        .seed = recipe->seed,
    };
    text->documents = mem_alloc((size_t)own->batch * sizeof *text->documents);
    status = text_batches_open(&options, &text->train, err);
    stage->validates = stage->split.n_valid > 0;
    options.train = false;
    options.items = stage->split.valid;
    options.n_items = stage->split.n_valid;
    if (status == OK && stage->validates)
        status = text_batches_open(&options, &text->valid, err);
    return status;
}

static void close_all(struct stage *stage)
{
    struct classifier_stage *text = stage->own;
    loss_deinit(&stage->loss);
    split_deinit(&stage->split);
    if (!text)
        return;
    text_chunks_free(text->train_chunks);
    text_chunks_free(text->valid_chunks);
    text_batches_close(text->train);
    text_batches_close(text->valid);
    mem_free(text->documents);
    mem_free(text);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void begin(struct stage *stage, uint32_t number, uint32_t epoch, int64_t first_step)
{
    text_batches_begin(own_of(stage)->train, number, epoch, first_step);
}

static int64_t count_words(const struct run *run, const uint32_t *documents, int n)
{
    int64_t words = 0;
    for (int i = 0; i < n; i++)
        words += text_corpus_words(run->text->corpus, documents[i]);
    return words;
}

static void find_documents(const struct run *run, const struct batch *batch, uint32_t *documents)
{
    for (int i = 0; i < batch->count; i++)
        documents[i] = text_corpus_find(run->text->corpus, batch->items[i]);
}

static enum status gradients(struct stage *stage, const struct run *run, int64_t index,
                             int64_t draw, double *loss, struct err *err)
{
    struct classifier_stage *text = stage->own;
    struct batch batch;
    (void)index;
    text_batches_next(text->train, &batch);
    if (batch.count == 0)
        return err_set(err, E_INTERNAL, "The batches of texts ended before their epoch.");
    find_documents(run, &batch, text->documents);
    stage->tokens = count_words(run, text->documents, batch.count);
    enum status status = text_chunks_forward(text->train_chunks, run->text->corpus, text->documents,
                                             batch.count, run->recipe.seed, (uint64_t)draw, err);
    if (status != OK)
        return status;
    *loss = loss_train(&stage->loss, text_chunks_logits(text->train_chunks), &batch, NULL,
                       text_chunks_gradient(text->train_chunks));
    return isfinite(*loss) ? text_chunks_backward(text->train_chunks, err) : OK;
}

static enum status validate(struct stage *stage, const struct run *run,
                            const struct stage_asked *asked, struct evaluation *evaluation,
                            struct err *err)
{
    struct classifier_stage *text = stage->own;
    struct batch batch;
    *evaluation = (struct evaluation){0};
    text_chunks_refresh(text->valid_chunks);
    text_batches_begin(text->valid, 0, 0, 0);
    for (text_batches_next(text->valid, &batch); batch.count > 0;
         text_batches_next(text->valid, &batch)) {
        find_documents(run, &batch, text->documents);
        enum status status = text_chunks_forward(text->valid_chunks, run->text->corpus,
                                                 text->documents, batch.count, 0, 0, err);
        if (status != OK)
            return status;
        const float *logits = text_chunks_logits(text->valid_chunks);
        loss_add(&stage->loss, logits, &batch, &evaluation->loss, NULL);
        for (int i = 0; i < batch.count; i++)
            evaluation->correct +=
                row_largest(logits + i * run->classes, run->classes) == batch.labels[i];
        evaluation->rows += batch.count;
        if (asked->go_on && !asked->go_on(asked->context))
            return err_set(err, E_CANCELLED, "The training run was told to stop.");
    }
    return OK;
}

static void hash(const struct stage *stage, char hex[SHA256_HEX])
{
    const struct classifier_stage *own = stage->own;
    text_chunks_hash(own->train_chunks, hex);
}

const struct learner learner_text_classifier = {
    .open_plans = open_plans,
    .open_data = open_data,
    .close = close_all,
    .begin = begin,
    .gradients = gradients,
    .validate = validate,
    .hash = hash,
};
