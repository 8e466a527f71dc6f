/* jobspec_training.c -- fields about the optimiser, the callbacks and the rate finder. */
#include "api/spec/jobspec_table.h"
#include "base/mem.h"

const char *const jobspec_monitors[] = {"valid_loss", "train_loss", "accuracy", "error_rate", NULL};

static const char *const optimizers[] = {"adamw", "adam", "sgd", NULL};

static const struct field beta = {.name = "betas", .takes = TAKES_NUMBER, .max = .99999};

static const struct field optimizer_rows[] = {
    {.name = "name",
     .takes = TAKES_CHOICE,
     .choices = optimizers,
     .fallback = "\"adamw\"",
     .meaning = "`adamw`: Adam with decoupled weight decay; `adam`: weight decay added to the "
                "gradient, as torch.optim.Adam does; `sgd`: with momentum, decay decoupled"},
    {.name = "form",
     .takes = TAKES_CHOICE,
     .choices = jobspec_forms,
     .shown = "the preset's",
     .meaning = "whose defaults it has: fastai v1's or v2's"},
    {.name = "betas",
     .takes = TAKES_LIST,
     .shortest = 2,
     .longest = 2,
     .element = &beta,
     .shown = "adamw, adam: `[0.9, 0.99]`",
     .meaning = "decay of the two moments; a schedule with momentum replaces the first"},
    {.name = "momentum",
     .takes = TAKES_NUMBER,
     .max = .99999,
     .shown = "sgd: `0.9`",
     .meaning = "of sgd; a schedule with momentum replaces it"},
    {.name = "eps",
     .takes = TAKES_NUMBER,
     .max = 1,
     .above_min = true,
     .shown = "adamw, adam: v1 1e-8, v2 1e-5",
     .meaning = "added after the root"},
    {.name = "weight_decay",
     .takes = TAKES_NUMBER,
     .max = 1,
     .fallback = "0.01",
     .meaning = "decoupled: `p *= 1 - lr * weight_decay` before the step; adam: `gradient += "
                "weight_decay * p`"},
    {.name = "decay_norm_bias",
     .takes = TAKES_BOOL,
     .shown = "v1: true, v2: false",
     .meaning = "whether norms' parameters and biases decay too"},
    {.name = "clip",
     .takes = TAKES_NUMBER | TAKES_NULL,
     .max = 1e6,
     .above_min = true,
     .fallback = "null",
     .meaning = "largest norm of all gradients together; null: no clipping"},
};
const struct fields jobspec_optimizer_fields = {"\"optimizer\"", JOBSPEC_FIELDS(optimizer_rows)};

#define MONITOR(says)                                                                              \
    {                                                                                              \
        .name = "monitor", .takes = TAKES_CHOICE, .choices = jobspec_monitors,                     \
        .fallback = "\"valid_loss\"", .meaning = says                                              \
    }

static const struct field save_best_rows[] = {
    MONITOR("the metric whose best epoch becomes the model"),
};
const struct fields jobspec_save_best_fields = {"\"save_best\"", JOBSPEC_FIELDS(save_best_rows)};

static const struct field early_stop_rows[] = {
    MONITOR("the metric that must get better"),
    {.name = "patience",
     .takes = TAKES_INTEGER,
     .min = 1,
     .max = JOBSPEC_MAX_EPOCHS,
     .fallback = "3",
     .meaning = "epochs of a stage without a better one after which the stage ends"},
    {.name = "min_delta",
     .takes = TAKES_NUMBER,
     .max = 1e6,
     .fallback = "0",
     .meaning = "less than this does not count as better"},
};
const struct fields jobspec_early_stop_fields = {"\"early_stop\"", JOBSPEC_FIELDS(early_stop_rows)};

static const struct field plateau_rows[] = {
    MONITOR("the metric that must get better"),
    {.name = "patience",
     .takes = TAKES_INTEGER,
     .min = 1,
     .max = JOBSPEC_MAX_EPOCHS,
     .fallback = "1",
     .meaning = "epochs of a stage without a better one after which the rates fall"},
    {.name = "factor",
     .takes = TAKES_NUMBER,
     .max = .999,
     .above_min = true,
     .fallback = "0.1",
     .meaning = "what the rest of the stage's rates are multiplied by"},
    {.name = "min_lr",
     .takes = TAKES_NUMBER,
     .max = JOBSPEC_MAX_RATE,
     .fallback = "0",
     .meaning = "no rate falls below this by it"},
};
const struct fields jobspec_plateau_fields = {"\"reduce_on_plateau\"",
                                              JOBSPEC_FIELDS(plateau_rows)};

static const struct field lr_find_rows[] = {
    {.name = "start",
     .takes = TAKES_NUMBER,
     .min = 1e-12,
     .max = JOBSPEC_MAX_RATE,
     .fallback = "1e-7",
     .meaning = "first rate"},
    {.name = "end",
     .takes = TAKES_NUMBER,
     .max = 1000,
     .above_min = true,
     .fallback = "10",
     .meaning = "last rate; it ends earlier where the smoothed loss exceeds four times its best"},
    {.name = "steps",
     .takes = TAKES_INTEGER,
     .min = 20,
     .max = 1000,
     .fallback = "100",
     .meaning = "steps from the first to the last rate, a constant factor apart"},
};
const struct fields jobspec_lr_find_fields = {"\"lr_find\"", JOBSPEC_FIELDS(lr_find_rows)};
