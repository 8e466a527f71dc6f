/* validate.c -- see validate.h. */
#include "engine/train/validate.h"

#include <math.h>
#include <string.h>

#include "engine/op/xent.h"

/* Every class of the row is decided rightly: its probability reaches the threshold exactly where
 * the item has it. */
static bool decides_all(const float *logits, const uint32_t *labels, uint32_t n_labels,
                        const struct pass *pass)
{
    double edge = log(pass->threshold / (1 - pass->threshold)); /* sigmoid's inverse */
    uint32_t n_there = 0;
    for (int64_t i = 0; i < pass->classes; i++)
        n_there += logits[i] >= edge;
    for (uint32_t i = 0; i < n_labels; i++)
        if (!(logits[labels[i]] >= edge))
            return false;
    return n_there == n_labels;
}

static bool is_right(const struct pass *pass, const struct batch *batch, int64_t row,
                     const float *logits)
{
    int64_t n = pass->classes;
    if (pass->loss->kind == LOSS_BINARY) {
        const uint32_t *labels;
        uint32_t n_labels = pack_labels(pass->loss->pack, batch->items[row], &labels);
        return decides_all(logits + row * n, labels, n_labels, pass);
    }
    return row_largest(logits + row * n, n) == batch->labels[row];
}

enum status validate(const struct pass *pass, struct evaluation *evaluation, struct err *err)
{
    struct batch batch;
    enum status status;
    *evaluation = (struct evaluation){0};
    plan_refresh(pass->plan);
    batches_begin(pass->batches, 0, 0, 0);
    while ((status = batches_next(pass->batches, &batch, err)) == OK && batch.count > 0) {
        memcpy(plan_input(pass->plan), batch.images,
               (size_t)batch.count * batch.row_floats * sizeof(float));
        plan_forward(pass->plan, 0, 0);
        const float *logits = plan_output(pass->plan);
        loss_add(pass->loss, logits, &batch, &evaluation->loss, NULL);
        for (int64_t row = 0; row < batch.count; row++)
            evaluation->correct += is_right(pass, &batch, row, logits);
        evaluation->rows += batch.count;
        if (pass->go_on && !pass->go_on(pass->context))
            return err_set(err, E_CANCELLED, "The training run was told to stop.");
    }
    return status;
}
