/* run.h -- everything a training run is made of, opened and checked before its first step.
 *
 * The job's document becomes: the data and its split, the network with its starting weights, the
 * recipe, and digests that name the run. Nothing here changes while it trains but the graph's
 * weights, and the rates of a stage that leaves them to the finder. */
#ifndef THAW_ENGINE_TRAIN_RUN_H
#define THAW_ENGINE_TRAIN_RUN_H

#include "base/digest.h"
#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/data/augment.h"
#include "engine/data/pack.h"
#include "engine/data/split.h"
#include "engine/format/model_file.h"
#include "engine/train/recipe.h"
#include "engine/train/trainer.h"

/* The weights a run starts from. Kept open: a stage that starts afresh reads them again. */
struct run_start {
    struct tensor_source source; /* owned while open */
    struct model_info info;      /* owned while open */
    char sha256[SHA256_HEX];
    bool open;          /* false: from random weights */
    bool with_head;     /* their head is kept */
    enum zoo_head head; /* the network's, new or kept */
};

struct text_run;

struct run {
    struct pack *pack;   /* owned */
    struct split split;  /* owned: of all data; a stage's sample is a part of it */
    struct graph *graph; /* owned; the present phase's */
    enum recipe_phase phase;
    struct text_run *text;     /* owned; of texts, else NULL */
    struct recipe_texts texts; /* what the recipe asks it */
    struct recipe recipe;      /* owned */
    struct model_info info;    /* owned: what checkpoints say they are */
    struct run_start start;    /* owned */
    int64_t classes;
    char index_sha256[SHA256_HEX];    /* of the pack's index: names the data */
    char sha256[SHA256_HEX];          /* of spec without stages, data and starting weights */
    char (*stage_sha256)[SHA256_HEX]; /* owned; (n_stages): [k] of the stages 0..k */
};

/* E_INVALID when the weights do not fit the network (the first tensors are named) or the data
 * cannot be trained on. On failure there is nothing to close. */
enum status run_open(const struct trainer_options *options, struct run *run, struct err *err);
void run_close(struct run *run);

/* The network of a phase in the place of the present one; its parameters have no values yet. With
 * `carried` the old graph is handed over to the caller, for run_carry. */
void run_build(struct run *run, enum recipe_phase phase, struct graph **carried);
/* The present network, a classifier, takes up what the language model's has learnt. */
void run_carry(struct run *run, const struct graph *language_model);

/* Every parameter as it was when the run was opened, a new head drawn again from the seed. */
enum status run_restart(struct run *run, struct err *err);

#endif
