/* validate.h -- a pass over items with a network as it stands: loss and accuracy. */
#ifndef THAW_ENGINE_TRAIN_VALIDATE_H
#define THAW_ENGINE_TRAIN_VALIDATE_H

#include <stdbool.h>

#include "base/status.h"
#include "engine/core/plan.h"
#include "engine/train/batches.h"
#include "engine/train/loss.h"
#include "engine/train/metrics.h"

struct pass {
    struct plan *plan;       /* of inference; all borrowed */
    struct batches *batches; /* of the validation kind */
    struct loss *loss;
    int64_t classes;
    double threshold; /* multi-label: a class is there where its probability reaches this */
    bool (*go_on)(void *context); /* false ends the pass with E_CANCELLED; NULL: nobody does */
    void *context;
};

/* Refreshes the plan, which follows training, and runs it over all batches. */
enum status validate(const struct pass *pass, struct evaluation *evaluation, struct err *err);

#endif
