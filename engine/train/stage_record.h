/* stage_record.h -- what became of each stage of a run, for its report: kept with the position, so
 * that a run that was interrupted tells of all its stages. */
#ifndef THAW_ENGINE_TRAIN_STAGE_RECORD_H
#define THAW_ENGINE_TRAIN_STAGE_RECORD_H

#include "base/json.h"
#include "engine/train/metrics.h"
#include "engine/train/recipe.h"

struct stage_record {
    int64_t steps;        /* that were made; 0: the stage never began */
    int64_t tokens;       /* words that they learned from; 0: pictures */
    double seconds;       /* that they took, without validation */
    struct scores scores; /* of its last epoch */
};

struct stage_record stage_record_start(void);
void stage_record_step(struct stage_record *record, int64_t tokens, double seconds);

/* The first n, as they are written down, and back; what is missing is as at the start. */
void stage_records_set(const struct stage_record *records, int n, struct json *object,
                       const char *key);
void stage_records_parse(const struct json *object, const char *key, struct stage_record *records,
                         int n);

/* The report's list, one element a stage that has begun: {stage, phase (of texts), steps, n_train,
 * n_valid, scores, seconds, tokens and tokens_per_second, or examples_per_second}. Owned by the
 * caller. */
struct json *stage_records_report(const struct stage_record *records, const struct recipe *recipe);

#endif
