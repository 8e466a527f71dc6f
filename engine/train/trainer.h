/* trainer.h -- runs a recipe: stages, steps, validation, checkpoints, requests.
 *
 * For each stage one training plan and one validation plan share the graph's parameters. Each step:
 * borrow a batch from the loader, forward, loss, backward, optimiser; between steps requests are
 * polled, and the run can stop, be killed, and go on from a resume file to the same final bits. */
#ifndef THAW_ENGINE_TRAIN_TRAINER_H
#define THAW_ENGINE_TRAIN_TRAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/train/recipe.h"

/* What a trainer tells and is told, so that it needs to know no wire (worker/train.c does). */
enum trainer_request { TRAINER_GO_ON, TRAINER_CHECKPOINT, TRAINER_PAUSE, TRAINER_CANCEL };

struct trainer_hooks {
    void *context;
    void (*send)(void *context, const struct json *header); /* a wire header; borrowed */
    enum trainer_request (*poll)(void *context);
};

struct trainer_options {
    const struct json *spec; /* resolved */
    const char *pack, *index;
    const char *weights; /* safetensors of the starting weights; NULL with "weights": "random" */
    const char *folder;  /* checkpoints go here, and are resumed from here */
    int threads;
};

/* OK: finished, or paused as asked (*paused true). E_CANCELLED as asked. E_INVALID with code
 * loss_is_nan when the loss is no number. */
enum status trainer_run(const struct trainer_options *options, const struct trainer_hooks *hooks,
                        bool *paused, struct err *err);

#endif
