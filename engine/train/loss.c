#include "engine/train/loss.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/op/bce.h"
#include "engine/op/xent.h"

/* --- class weights ---------------------------------------------------------------------------- */

static int64_t find_class(const struct pack *pack, const char *name)
{
    for (uint32_t i = 0; i < pack_n_classes(pack); i++)
        if (strcmp(pack_class_name(pack, i), name) == 0)
            return i;
    return -1;
}

static enum status take_named(struct loss *loss, const struct json *weights, struct err *err)
{
    json_each(item, weights)
    {
        int64_t class = find_class(loss->pack, json_key(item));
        double weight = json_as_number(item, NAN);
        if (class < 0)
            return err_at(err, E_INVALID, "/class_weights",
                          "class_weights names the class \"%.80s\", which the data set lacks; its "
                          "first is \"%.80s\".",
                          json_key(item), pack_class_name(loss->pack, 0));
        if (!(weight > 0 && weight <= 1e6))
            return err_at(
                err, E_INVALID, "/class_weights",
                "The weight of the class \"%.80s\" must be a number above 0, at most 1e6.",
                json_key(item));
        loss->weights[class] = (float)weight;
    }
    return OK;
}

/* n / (k * n_c) over the k classes that the items have. */
static void balance(struct loss *loss, const uint32_t *items, uint32_t n_items)
{
    uint32_t *counts = mem_alloc((size_t)loss->classes * sizeof *counts);
    uint32_t present = 0;
    for (uint32_t i = 0; i < n_items; i++)
        present += counts[pack_item(loss->pack, items[i])->label]++ == 0;
    for (int64_t c = 0; c < loss->classes; c++)
        if (counts[c] > 0)
            loss->weights[c] = (float)((double)n_items / ((double)present * counts[c]));
    mem_free(counts);
}

static enum status take_weights(struct loss *loss, const struct json *weights,
                                const uint32_t *items, uint32_t n_items, struct err *err)
{
    if (json_type(weights) == JSON_NULL)
        return OK;
    loss->weights = mem_alloc((size_t)loss->classes * sizeof *loss->weights);
    for (int64_t c = 0; c < loss->classes; c++)
        loss->weights[c] = 1;
    if (json_type(weights) == JSON_OBJECT)
        return take_named(loss, weights, err);
    if (strcmp(json_as_string(weights, ""), "balanced") != 0)
        return err_at(
            err, E_INVALID, "/class_weights",
            "class_weights must be null, \"balanced\" or an object of names and weights.");
    if (loss->kind == LOSS_BINARY)
        return err_at(
            err, E_INVALID, "/class_weights",
            "class_weights \"balanced\" counts one label an item, and image_multilabel has "
            "several: give weights by name.");
    balance(loss, items, n_items);
    return OK;
}

/* --- making ----------------------------------------------------------------------------------- */

static enum status check_task(const struct loss_options *options, const struct pack *pack,
                              struct err *err)
{
    if (options->kind == LOSS_CROSS_ENTROPY && pack_is_multilabel(pack))
        return err_at(err, E_INVALID, "/task",
                      "The items of this data set have several labels each: use the task "
                      "image_multilabel.");
    if (options->kind == LOSS_BINARY && options->smoothing > 0)
        return err_at(err, E_INVALID, "/label_smoothing",
                      "label_smoothing is for one label an item; image_multilabel takes 0.");
    if (!(options->smoothing >= 0 && options->smoothing < 1))
        return err_at(err, E_INVALID, "/label_smoothing",
                      "label_smoothing is %g; it must be at least 0 and below 1.",
                      options->smoothing);
    return OK;
}

enum status loss_init(struct loss *loss, const struct loss_options *options,
                      const struct pack *pack, const uint32_t *items, uint32_t n_items,
                      struct err *err)
{
    enum status status = check_task(options, pack, err);
    if (status != OK)
        return status;
    *loss = (struct loss){.kind = options->kind,
                          .smoothing = options->smoothing,
                          .classes = pack_n_classes(pack),
                          .pack = pack};
    status = take_weights(loss, options->class_weights, items, n_items, err);
    if (status != OK)
        loss_deinit(loss);
    return status;
}

void loss_deinit(struct loss *loss)
{
    mem_free(loss->weights);
    mem_free(loss->targets);
    *loss = (struct loss){0};
}

/* --- computing -------------------------------------------------------------------------------- */

const float *loss_targets(struct loss *loss, const struct batch *batch)
{
    size_t classes = (size_t)loss->classes;
    if (batch->count > loss->capacity) {
        loss->targets =
            mem_realloc(loss->targets, (size_t)batch->count * classes * sizeof *loss->targets);
        loss->capacity = batch->count;
    }
    memset(loss->targets, 0, (size_t)batch->count * classes * sizeof *loss->targets);
    for (int row = 0; row < batch->count; row++) {
        const uint32_t *labels;
        uint32_t n = pack_labels(loss->pack, batch->items[row], &labels);
        for (uint32_t i = 0; i < n; i++)
            loss->targets[(size_t)row * classes + labels[i]] = 1;
    }
    return loss->targets;
}

/* Adds the rows' losses and what their mean divides by; gradient is that of the mean of just these
 * rows. */
static void add_rows(struct loss *loss, const float *logits, const struct batch *batch,
                     const float *soft, struct loss_sum *sum, float *gradient, float *row_loss)
{
    int64_t rows = batch->count, classes = loss->classes;
    double weight;
    if (loss->kind == LOSS_BINARY) {
        const float *targets = soft ? soft : loss_targets(loss, batch);
        weight = (double)(rows * classes);
        sum->loss +=
            bce_sum(logits, targets, loss->weights, rows, classes, weight, gradient, row_loss);
    } else {
        struct xent_options options = {loss->smoothing, loss->weights};
        struct xent_targets targets = {batch->labels, soft};
        weight = xent_weight(&options, &targets, rows);
        sum->loss +=
            xent_sum(&options, logits, &targets, rows, classes, weight, gradient, row_loss);
    }
    sum->weight += weight;
}

double loss_train(struct loss *loss, const float *logits, const struct batch *batch,
                  const float *soft, float *gradient)
{
    struct loss_sum sum = {0, 0};
    add_rows(loss, logits, batch, soft, &sum, gradient, NULL);
    return loss_sum_mean(&sum);
}

void loss_add(struct loss *loss, const float *logits, const struct batch *batch,
              struct loss_sum *sum, float *row_loss)
{
    add_rows(loss, logits, batch, NULL, sum, NULL, row_loss);
}

double loss_sum_mean(const struct loss_sum *sum)
{
    return sum->loss / sum->weight;
}

void loss_probabilities(enum loss_kind kind, const float *logits, int64_t rows, int64_t classes,
                        float *probabilities)
{
    if (kind == LOSS_BINARY)
        sigmoid_rows(logits, rows, classes, probabilities);
    else
        softmax_rows(logits, rows, classes, probabilities);
}
