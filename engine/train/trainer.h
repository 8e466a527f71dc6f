/* trainer.h -- runs a recipe: stages, steps, validation, checkpoints, requests.
 *
 * For each stage one training plan and one validation plan share the graph's parameters. Each step:
 * borrow a batch from the loader, forward, loss, backward, optimiser. Between steps requests are
 * polled, so the run can stop anywhere; it goes on from a resume file to the same final bits. */
#ifndef THAW_ENGINE_TRAIN_TRAINER_H
#define THAW_ENGINE_TRAIN_TRAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

/* What a trainer tells and is told, so that it needs to know no wire (worker/train.c does).
 * TRAINER_PAUSE and TRAINER_CANCEL are answered again by every later poll. */
enum trainer_request { TRAINER_GO_ON, TRAINER_CHECKPOINT, TRAINER_PAUSE, TRAINER_CANCEL };

struct trainer_hooks {
    void *context;
    void (*started)(void *context, int threads, const char *plan_sha256);
    void (*send)(void *context, const struct json *header); /* of api/spec/wire.h; borrowed */
    enum trainer_request (*poll)(void *context);
};

struct trainer_options {
    const struct json *spec; /* resolved; all borrowed */
    const char *pack, *index;
    const char *weights;         /* model file to start from; NULL: random weights */
    const struct json *ensemble; /* evaluations: files of the models beside it; NULL: none */
    const char *folder;          /* checkpoints go here, and are resumed from here */
    int threads;                 /* of the kernels; 0: as many as there are processors */
    int loader_threads; /* that decode pictures, whatever the result; 0: as many as `threads` */
    /* Asked while texts are read, before the run has started; false stops it. NULL: nobody. */
    bool (*go_on)(void *context, int64_t done, int64_t all);
    void *context;
};

/* OK: the run is finished, or paused as asked or as the recipe wishes; the last header sent was
 * `result` or `paused`. E_CANCELLED as asked. E_INVALID with code loss_is_nan when the loss is no
 * number any more. */
enum status trainer_run(const struct trainer_options *options, const struct trainer_hooks *hooks,
                        struct err *err);

#endif
