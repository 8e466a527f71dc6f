/* stage.h -- a stage made ready to run: its plans and its loaders.
 *
 * Both plans share the graph's parameters; making the training plan decides which of them train. */
#ifndef THAW_ENGINE_TRAIN_STAGE_H
#define THAW_ENGINE_TRAIN_STAGE_H

#include <stdint.h>

#include "base/status.h"
#include "engine/core/plan.h"
#include "engine/data/loader.h"
#include "engine/train/run.h"

struct stage {
    struct plan *train_plan, *valid_plan; /* owned; valid_plan NULL without validation items */
    struct loader *train, *valid;         /* owned; valid NULL likewise */
};

/* Of the stage number `index` of the run's recipe. After a failure the stage is still closed. */
enum status stage_open_plans(struct stage *stage, const struct run *run, int64_t index,
                             struct err *err);
enum status stage_open_loaders(struct stage *stage, const struct run *run, int64_t index,
                               int threads, struct err *err);
void stage_close(struct stage *stage);

#endif
