/* recipe.h -- a resolved job spec as what the trainer runs: stages, steps, rates at every step.
 *
 * api/spec/jobspec.c turned the preset into `stages`; here each stage meets the network (how many
 * layer groups) and the data (how many items its sample has, so how many steps an epoch).
 * Everything that decides a run is in this struct: with the data and the starting weights it is the
 * whole input of training. recipe.c reads what is about the run, recipe_stage.c what is about one
 * stage. */
#ifndef THAW_ENGINE_TRAIN_RECIPE_H
#define THAW_ENGINE_TRAIN_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/data/augment.h"
#include "engine/data/pack.h"
#include "engine/data/split.h"
#include "engine/train/loss.h"
#include "engine/train/mix.h"
#include "engine/train/optim.h"
#include "engine/train/schedule.h"
#include "engine/zoo/zoo.h"

#define RECIPE_MAX_STAGES 64
#define RECIPE_MAX_EPOCHS 10000    /* of a stage */
#define RECIPE_MAX_STEPS  10000000 /* of all stages together */

enum recipe_task {
    TASK_CLASSIFICATION,
    TASK_MULTILABEL,
    TASK_TEXT_CLASSIFICATION,
    TASK_LANGUAGE_MODEL,
    TASK_LR_FIND,
    TASK_EVALUATE,
    TASK_PREDICT
};

/* What a stage trains: which learner (learner.h) it takes, and which network. */
enum recipe_phase { PHASE_PICTURES, PHASE_LANGUAGE_MODEL, PHASE_CLASSIFIER, N_PHASES };

struct recipe_stage {
    char name[64];
    enum recipe_phase phase;
    int n_groups;                    /* layer groups of its network */
    char groups[ZOO_MAX_GROUPS][24]; /* their names, lowest first */
    int64_t epochs;                  /* raised until there are min_steps */
    int64_t asked_epochs, min_steps;
    int64_t steps_per_epoch;
    bool batch_auto;            /* "batch_size": "auto" */
    int64_t batch;              /* what the spec asked for, lowered to what there is to train on */
    int64_t size;               /* image side */
    int64_t n_train, n_valid;   /* items of its sample */
    int64_t words, valid_words; /* of a language model: in its texts */
    int64_t seq_len;            /* and steps of a batch */
    int64_t valid_rows;         /* and rows of its validation, where the texts are short */
    int64_t longest;            /* words of a classifier's longest text */
    bool sampled;               /* on a part of the data: recipe_split */
    struct sample_options sample;
    int frozen_groups;
    bool lr_auto;                     /* max_rates is for the finder to say: recipe_set_rate */
    double max_rates[ZOO_MAX_GROUPS]; /* of each layer group */
    struct schedule schedule;         /* with the stage's steps */
    struct augment_options augment;
    bool cached;      /* a feature cache is wanted, and there is something frozen */
    bool pause_after; /* "then": "pause" */
    bool fresh;       /* starts from the job's starting weights again */
};

/* What watches a metric between epochs. */
struct recipe_watch {
    bool on;
    char monitor[32];
    int64_t patience;
    double min_delta;
};

/* What the stages of a job on texts ask about the texts. */
struct recipe_counts {
    int64_t n_train, n_valid, words, valid_words;
};

struct text_options;

struct recipe_texts {
    const struct text_options *options; /* borrowed */
    int64_t vocabulary, classes;        /* of its networks */
    int64_t longest;                    /* words of the classifier's longest text */
    double mean_words;                  /* of its texts */
    /* The texts of a stage of the language model. */
    enum status (*count)(void *context, const struct recipe_stage *stage,
                         struct recipe_counts *counts, struct err *err);
    void *context;
};

struct recipe {
    enum recipe_task task;
    const struct zoo_net *net;        /* of pictures, else NULL */
    const struct recipe_texts *texts; /* of texts, else NULL; borrowed */
    enum recipe_form form;            /* the optimiser's */
    enum zoo_head head;               /* what a new head is like */
    uint64_t seed;

    bool frozen_norm_trains;  /* "frozen_batchnorm": "train" */
    int cache_views;          /* of the feature cache; 0: none */
    bool balanced;            /* "sampler": "balanced" */
    struct loss_options loss; /* class_weights is borrowed from the spec */
    struct mix_options mix;
    struct optim_options optim;
    int64_t accumulate; /* items between two steps of the optimiser; 0: each batch */

    bool save_best;   /* the final model is the best epoch's, else the last's */
    char monitor[32]; /* the metric "best" is about */
    struct recipe_watch early_stop;
    struct recipe_watch plateau;
    double plateau_factor, plateau_min_lr;
    double max_seconds; /* 0: no limit */

    struct {
        double start, end;
        int64_t steps;
    } lr_find;
    char split[8];    /* evaluate, predict: "valid", "test", "train" or "all" */
    int64_t tta;      /* augmented views of reports; 0: none */
    double threshold; /* multi-label */

    struct recipe_stage *stages; /* owned */
    int n_stages;                /* 0: tasks evaluate and predict */
};

/* Whether a job trains nothing but a language model, so that it needs no labels: its task says so,
 * or it seeks rates for stages of one alone. */
bool recipe_is_language_model(const struct json *spec);

/* `spec` and `pack` outlive the recipe; `pack` may be NULL where no stage takes a sample. E_INVALID
 * with a pointer into the spec when a stage cannot run. */
enum status recipe_init(struct recipe *recipe, const struct json *spec, const struct zoo_net *net,
                        const struct pack *pack, const struct split *split, struct err *err);
/* The same of a job on texts. */
enum status recipe_init_texts(struct recipe *recipe, const struct json *spec,
                              const struct recipe_texts *texts, const struct pack *pack,
                              const struct split *split, struct err *err);
void recipe_deinit(struct recipe *recipe);

/* The items of a stage: its sample of `all`, or a copy. Owned by the caller. */
enum status recipe_split(const struct recipe *recipe, const struct recipe_stage *stage,
                         const struct pack *pack, const struct split *all, struct split *split,
                         struct err *err);

/* What the rate finder found, for a stage with lr_auto: the head's rate; a tenth of it below. */
void recipe_set_rate(struct recipe_stage *stage, int n_groups, double rate);

/* A stage's network, without values: owned by the caller. */
struct graph *recipe_graph(const struct recipe *recipe, enum recipe_phase phase, int64_t classes);

/* "language_model", "classifier"; NULL for pictures. */
const char *recipe_phase_name(enum recipe_phase phase);

/* The rate of each layer group at a step of a stage. */
void recipe_rates(const struct recipe_stage *stage, int n_groups, int64_t step, double *rates);

int64_t recipe_total_steps(const struct recipe *recipe);

/* What a stage's batches have rows of, and one validation takes: items, or of a language model
 * stretches of seq_len words. */
int64_t recipe_valid_rows(const struct recipe_stage *stage);

/* "batch_size": "auto" for so many training items: the power of two in 8..64 not above n/20. */
#define RECIPE_SMALLEST_AUTO 8
#define RECIPE_LARGEST_AUTO  64
int64_t recipe_auto_batch(int64_t n_train);

/* Lowers the stage's batch to at most `most`, and what follows from it: steps, epochs. */
enum status recipe_lower_batch(struct recipe_stage *stage, int64_t most, struct err *err);

/* "augment" of a job or a stage: "none", or an object with the numbers of augment.h. */
void recipe_augment(struct augment_options *augment, const struct json *json);

/* --- between recipe.c and recipe_stage.c --- */

/* One element of "stages"; the pointer of an error is within the stage. */
enum status recipe_stage_init(const struct recipe *recipe, struct recipe_stage *stage,
                              const struct json *json, const struct json *spec,
                              const struct pack *pack, const struct split *split, struct err *err);

#endif
