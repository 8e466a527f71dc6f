/* run.h -- everything a training run is made of, opened and checked before its first step.
 *
 * The job's document becomes: the data and its split, the network with its starting weights, the
 * recipe, and one digest that names the run. Nothing here changes while it trains but the graph's
 * weights. */
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

struct run {
    struct pack *pack;      /* owned */
    struct split split;     /* owned */
    struct graph *graph;    /* owned */
    struct recipe recipe;   /* owned */
    struct model_info info; /* owned: what checkpoints say they are */
    int64_t classes;
    char sha256[SHA256_HEX]; /* of the spec, the index and the starting weights */
};

/* E_INVALID when the weights do not fit the network (the first tensors are named) or the data
 * cannot be trained on. On failure there is nothing to close. */
enum status run_open(const struct trainer_options *options, struct run *run, struct err *err);
void run_close(struct run *run);

#endif
