/* jobspec_table.c -- every field of the job spec that this release understands.
 *
 * To add one: a row here, its reader in the engine, a line in tests/unit/api/spec/test_jobspec.c.
 * A default that depends on other fields has no `fallback`; jobspec.c computes it. */
#include "api/spec/jobspec_table.h"

#include "api/spec/preset.h"
#include "base/mem.h"

#define FIELDS(rows) rows, ARRAY_LEN(rows)
#define MAX_SEED     9007199254740991.0
#define MAX_RATE     10

static const char *const tasks[] = {"image_classification", NULL};
static const char *const forms[] = {"v1", "v2", NULL};
static const char *const weights[] = {"pretrained", "random", NULL};
static const char *const heads[] = {"auto", "new", NULL};
static const char *const norms[] = {"train", "eval", NULL};
static const char *const augments[] = {"default", "none", NULL};
static const char *const optimizers[] = {"adamw", NULL};
static const char *const monitors[] = {"valid_loss", "train_loss", "accuracy", "error_rate", NULL};
static const char *const schedules[] = {"one_cycle", "flat", "flat_cos", NULL};
static const char *const automatic[] = {"auto", NULL};

static const struct field image_rows[] = {
    {.name = "size",
     .takes = TAKES_INTEGER | TAKES_NULL,
     .min = 32,
     .max = 1024,
     .fallback = "null",
     .meaning = "side of the square that the network sees, in pixels; null: what the network was "
                "made for"},
};
static const struct fields image_fields = {"\"image\"", FIELDS(image_rows)};

static const struct field augment_rows[] = {
    {.name = "min_scale",
     .takes = TAKES_NUMBER,
     .max = 1,
     .above_min = true,
     .fallback = "0.35",
     .meaning = "least share of the picture's area that a random crop keeps"},
    {.name = "flip",
     .takes = TAKES_NUMBER,
     .max = 1,
     .fallback = "0.5",
     .meaning = "probability of a horizontal flip"},
};
const struct fields jobspec_augment_fields = {"\"augment\"", FIELDS(augment_rows)};

static const struct field beta = {.name = "betas", .takes = TAKES_NUMBER, .max = .99999};

static const struct field optimizer_rows[] = {
    {.name = "name",
     .takes = TAKES_CHOICE,
     .choices = optimizers,
     .fallback = "\"adamw\"",
     .meaning = "the optimiser"},
    {.name = "form",
     .takes = TAKES_CHOICE,
     .choices = forms,
     .shown = "the preset's",
     .meaning = "whose defaults it has: fastai v1's or v2's"},
    {.name = "betas",
     .takes = TAKES_LIST,
     .shortest = 2,
     .longest = 2,
     .element = &beta,
     .fallback = "[0.9, 0.99]",
     .meaning = "decay of the two moments; a schedule with momentum replaces the first"},
    {.name = "eps",
     .takes = TAKES_NUMBER,
     .max = 1,
     .above_min = true,
     .shown = "v1: 1e-8, v2: 1e-5",
     .meaning = "added after the root"},
    {.name = "weight_decay",
     .takes = TAKES_NUMBER,
     .max = 1,
     .fallback = "0.01",
     .meaning = "decoupled: `p *= 1 - lr * weight_decay` before the step"},
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
static const struct fields optimizer_fields = {"\"optimizer\"", FIELDS(optimizer_rows)};

static const struct field save_best_rows[] = {
    {.name = "monitor",
     .takes = TAKES_CHOICE,
     .choices = monitors,
     .fallback = "\"valid_loss\"",
     .meaning = "the metric whose best epoch becomes the model"},
};
static const struct fields save_best_fields = {"\"save_best\"", FIELDS(save_best_rows)};

static const struct field slice_end = {
    .name = "slice", .takes = TAKES_NUMBER | TAKES_NULL, .max = MAX_RATE, .above_min = true};
static const struct field group_rate = {.name = "groups", .takes = TAKES_NUMBER, .max = MAX_RATE};

static const struct field lr_rows[] = {
    {.name = "slice",
     .takes = TAKES_LIST,
     .shortest = 2,
     .longest = 2,
     .element = &slice_end,
     .shown = "none",
     .meaning =
         "`[a, b]`: geometric from the lowest group to the head; `[null, b]`: b for the head, "
         "b/10 below it"},
    {.name = "groups",
     .takes = TAKES_LIST,
     .shortest = 1,
     .longest = 64,
     .element = &group_rate,
     .shown = "none",
     .meaning = "one rate a layer group, lowest first"},
};
static const struct fields lr_fields = {"\"lr\"", FIELDS(lr_rows)};

static const struct field momentum_value = {
    .name = "momentum", .takes = TAKES_NUMBER, .max = .99999};

static const struct field schedule_rows[] = {
    {.name = "name",
     .takes = TAKES_CHOICE,
     .choices = schedules,
     .fallback = "\"one_cycle\"",
     .meaning = "how the rate moves over the stage's steps"},
    {.name = "form",
     .takes = TAKES_CHOICE,
     .choices = forms,
     .shown = "the preset's",
     .meaning = "fastai v1's or v2's way to place the steps, and its defaults"},
    {.name = "pct_start",
     .takes = TAKES_NUMBER,
     .max = .99,
     .shown = "one_cycle: v1 .3, v2 .25; flat_cos: .75",
     .meaning = "share of the steps before the fall begins"},
    {.name = "div",
     .takes = TAKES_NUMBER,
     .min = 1,
     .max = 1e9,
     .shown = "one_cycle: 25",
     .meaning = "one_cycle starts at the largest rate / div"},
    {.name = "div_final",
     .takes = TAKES_NUMBER,
     .min = 1,
     .max = 1e15,
     .shown = "one_cycle: v1 div * 1e4, v2 1e5; flat_cos: 1e5",
     .meaning = "the stage ends at the largest rate / div_final"},
    {.name = "momentum",
     .takes = TAKES_LIST | TAKES_NUMBER,
     .max = .99999,
     .shortest = 3,
     .longest = 3,
     .element = &momentum_value,
     .shown = "one_cycle: [.95, .85, .95]; others: the optimiser's first beta",
     .meaning = "Adam's first beta at the start, at the largest rate and at the end"},
};
static const struct fields schedule_fields = {"\"schedule\"", FIELDS(schedule_rows)};

static const struct field stage_rows[] = {
    {.name = "name",
     .takes = TAKES_NAME,
     .shortest = 1,
     .longest = 63,
     .shown = "`\"stage-K\"`, K from 1",
     .meaning = "also its checkpoint's"},
    {.name = "freeze_to",
     .takes = TAKES_INTEGER,
     .min = -64,
     .max = 63,
     .fallback = "0",
     .meaning = "layer groups below this one are frozen; negative: from the end; 0: all train"},
    {.name = "epochs",
     .takes = TAKES_INTEGER,
     .min = 1,
     .max = JOBSPEC_MAX_EPOCHS,
     .required = true,
     .meaning = "passes over the training data"},
    {.name = "lr",
     .takes = TAKES_NUMBER | TAKES_OBJECT,
     .max = MAX_RATE,
     .above_min = true,
     .members = &lr_fields,
     .shown = "v1: `{\"slice\": [null, 3e-3]}`, v2: `1e-3`",
     .meaning = "the largest learning rate: one for all groups, or one each"},
    {.name = "schedule",
     .takes = TAKES_CHOICE | TAKES_OBJECT,
     .choices = schedules,
     .members = &schedule_fields,
     .shown = "`\"one_cycle\"`",
     .meaning = "a name alone takes the name's defaults"},
};
static const struct fields stage_fields = {"a stage", FIELDS(stage_rows)};
static const struct field stage = {
    .name = "stages", .takes = TAKES_OBJECT, .members = &stage_fields};

static const struct field rows[] = {
    {.name = "dataset",
     .takes = TAKES_TEXT,
     .shortest = 1,
     .longest = 100,
     .required = true,
     .meaning = "the id of the dataset to train on"},
    {.name = "model",
     .takes = TAKES_TEXT,
     .shortest = 1,
     .longest = 200,
     .required = true,
     .meaning = "the id or name of the model to start from"},
    {.name = "task",
     .takes = TAKES_CHOICE,
     .choices = tasks,
     .fallback = "\"image_classification\"",
     .meaning = "what the model learns to do"},
    {.name = "name",
     .takes = TAKES_TEXT | TAKES_NULL,
     .shortest = 1,
     .longest = 200,
     .fallback = "null",
     .meaning = "for people; need not be unique"},
    {.name = "metadata",
     .takes = TAKES_OBJECT,
     .fallback = "{}",
     .meaning = "at most 32 keys of your own; texts up to 500 bytes, numbers, true or false"},
    {.name = "preset",
     .takes = TAKES_CHOICE,
     .choices = preset_names,
     .fallback = "\"fine_tune\"",
     .meaning = "the recipe that makes the stages and supplies the forms"},
    {.name = "epochs",
     .takes = TAKES_INTEGER,
     .min = 1,
     .max = JOBSPEC_MAX_EPOCHS,
     .shown = "the preset's",
     .meaning = "preset parameter: epochs with all layers training"},
    {.name = "freeze_epochs",
     .takes = TAKES_INTEGER,
     .min = 0,
     .max = JOBSPEC_MAX_EPOCHS,
     .shown = "the preset's",
     .meaning = "preset parameter: epochs with the head alone training; 0: no such stage"},
    {.name = "base_lr",
     .takes = TAKES_NUMBER,
     .max = MAX_RATE,
     .above_min = true,
     .shown = "the preset's",
     .meaning = "preset parameter: the head's largest rate; later stages use a fixed share of it"},
    {.name = "lr_mult",
     .takes = TAKES_NUMBER,
     .min = 1,
     .max = 1e6,
     .shown = "the preset's",
     .meaning = "preset parameter: unfrozen, the lowest group's rate is the head's / lr_mult"},
    {.name = "pct_start",
     .takes = TAKES_NUMBER,
     .max = .99,
     .shown = "the preset's",
     .meaning =
         "preset parameter: share of the steps in which the rate rises (fine_tune: unfrozen)"},
    {.name = "div",
     .takes = TAKES_NUMBER,
     .min = 1,
     .max = 1e9,
     .shown = "the preset's",
     .meaning = "preset parameter: a stage starts at the largest rate / div (fine_tune: unfrozen)"},
    {.name = "stages",
     .takes = TAKES_LIST,
     .shortest = 1,
     .longest = JOBSPEC_MAX_STAGES,
     .element = &stage,
     .shown = "the preset's",
     .meaning = "explicit stages instead of the preset's; excludes preset parameters"},
    {.name = "seed",
     .takes = TAKES_INTEGER,
     .max = MAX_SEED,
     .fallback = "0",
     .meaning = "of everything random: head, order, crops, dropout"},
    {.name = "image",
     .takes = TAKES_OBJECT,
     .members = &image_fields,
     .fallback = "{}",
     .meaning = "what the pictures become"},
    {.name = "batch_size",
     .takes = TAKES_INTEGER,
     .min = 2,
     .max = 4096,
     .fallback = "64",
     .meaning = "items a step; lowered to the training set's size where that is less"},
    {.name = "valid_fraction",
     .takes = TAKES_NUMBER,
     .max = .9,
     .fallback = "0.2",
     .meaning = "share of each class kept for validation, where the dataset brings no split"},
    {.name = "split_seed",
     .takes = TAKES_INTEGER,
     .max = MAX_SEED,
     .fallback = "0",
     .meaning = "which items those are; apart from `seed`, so that seeds can be compared"},
    {.name = "augment",
     .takes = TAKES_CHOICE | TAKES_OBJECT,
     .choices = augments,
     .members = &jobspec_augment_fields,
     .fallback = "\"default\"",
     .meaning = "`\"default\"`: random resized crop and flip, resolved to the object; `\"none\"`: "
                "the centre crop of validation"},
    {.name = "frozen_batchnorm",
     .takes = TAKES_CHOICE,
     .choices = norms,
     .fallback = "\"train\"",
     .meaning =
         "batch norm in frozen groups: trains and updates its statistics, or stays as stored"},
    {.name = "optimizer",
     .takes = TAKES_OBJECT,
     .members = &optimizer_fields,
     .fallback = "{}",
     .meaning = "AdamW and its numbers"},
    {.name = "head_form",
     .takes = TAKES_CHOICE,
     .choices = forms,
     .shown = "the preset's",
     .meaning = "a new head as fastai v1 makes it (linear layers with bias) or v2 (without)"},
    {.name = "head",
     .takes = TAKES_CHOICE,
     .choices = heads,
     .fallback = "\"auto\"",
     .meaning = "`\"auto\"`: keeps the model's own head where its class list is equal; `\"new\"`: "
                "never"},
    {.name = "weights",
     .takes = TAKES_CHOICE,
     .choices = weights,
     .fallback = "\"pretrained\"",
     .meaning = "`\"random\"`: trains from nothing"},
    {.name = "save_best",
     .takes = TAKES_OBJECT | TAKES_NULL,
     .members = &save_best_fields,
     .fallback = "null",
     .meaning = "the final model is the best epoch's; null: the last's"},
    {.name = "threads",
     .takes = TAKES_CHOICE | TAKES_INTEGER,
     .choices = automatic,
     .min = 1,
     .max = 256,
     .fallback = "\"auto\"",
     .meaning = "processors to compute on; `\"auto\"`: all"},
    {.name = "priority",
     .takes = TAKES_INTEGER,
     .min = -100,
     .max = 100,
     .fallback = "0",
     .meaning = "larger runs earlier; equals in order of submission"},
};
const struct fields jobspec_fields = {"the job spec", FIELDS(rows)};
