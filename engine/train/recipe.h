/* recipe.h -- a resolved job spec as what the trainer runs: stages, steps, rates at every step.
 *
 * api/spec/jobspec.c turned the preset into `stages`; here each stage meets the network (how many
 * layer groups) and the data (how many steps an epoch). Everything that decides a run is in this
 * struct: with the data and the starting weights it is the whole input of training. */
#ifndef THAW_ENGINE_TRAIN_RECIPE_H
#define THAW_ENGINE_TRAIN_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/data/augment.h"
#include "engine/train/optim.h"
#include "engine/train/schedule.h"
#include "engine/zoo/zoo.h"

#define RECIPE_MAX_STAGES 64

struct recipe_stage {
    char name[64];
    int64_t epochs, steps_per_epoch;
    int64_t batch; /* what the spec asked for, lowered to the training set's size */
    int64_t size;  /* image side */
    int frozen_groups;
    double max_rates[ZOO_MAX_GROUPS];
    struct schedule schedule; /* with the stage's steps */
    struct augment_options augment;
};

struct recipe {
    const struct zoo_net *net;
    enum recipe_form form; /* the optimiser's */
    enum zoo_head head;    /* what a new head is like */
    uint64_t seed;
    bool frozen_norm_trains; /* "frozen_batchnorm": "train" */
    bool save_best;          /* the final model is the best epoch's, else the last's */
    char monitor[32];        /* the metric "best" is about */
    struct optim_options optim;
    struct recipe_stage *stages; /* owned */
    int n_stages;
};

/* `n_train` items to train on; E_INVALID with a pointer into the spec when a stage cannot run. */
enum status recipe_init(struct recipe *recipe, const struct json *spec, const struct zoo_net *net,
                        int64_t n_train, struct err *err);
void recipe_deinit(struct recipe *recipe);

/* The rate of each layer group at a step of a stage. */
void recipe_rates(const struct recipe_stage *stage, int n_groups, int64_t step, double *rates);

int64_t recipe_total_steps(const struct recipe *recipe);

#endif
