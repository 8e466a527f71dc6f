/* ensemble.h -- the answers of several classifiers to one question, averaged.
 *
 * A class's probability is the arithmetic mean over the models, which are equals. Classes are
 * matched by name, since each model may have them in an order of its own. */
#ifndef THAW_API_ENSEMBLE_H
#define THAW_API_ENSEMBLE_H

#include <stddef.h>

#include "base/json.h"
#include "base/status.h"

/* An answer as api/app.h has it, with all of its model's classes. */
struct ensemble_answer {
    const char *model; /* for sentences; borrowed, as is: */
    const struct json *answer;
};

/* *mean: [{label, probability}], the `top_k` most probable first, equals as the first model has
 * them; owned by the caller. E_INVALID: a model without classes, or whose classes are not those of
 * the first one; both are named. */
enum status ensemble_mean(const struct ensemble_answer *answers, size_t n, size_t top_k,
                          struct json **mean, struct err *err);

#endif
