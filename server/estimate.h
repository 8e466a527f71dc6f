/* estimate.h -- what a job will take: memory and arithmetic are the engine's to say (the verb
 * `plan`), disk follows from the sizes, time from what stages cost on this machine before
 * (store/costs.h).
 *
 * An estimate, as rows and replies have it: {peak_memory_bytes, disk_bytes, batch_size, seconds,
 * seconds_low, seconds_high, basis, steps:[one a stage], flops_per_step:[...], batch_sizes:[...]}.
 * `basis` says what the seconds stand on: "measured" (stages like each of these ran here),
 * "similar" (others did), "arithmetic" (nothing ran yet: the range is wide). */
#ifndef THAW_SERVER_ESTIMATE_H
#define THAW_SERVER_ESTIMATE_H

#include "base/json.h"
#include "store/costs.h"

struct estimate_options {
    struct store *store; /* borrowed, as is the rest */
    const char *machine, *isa, *architecture;
    int64_t threads;
    const struct json *spec; /* resolved */
};

/* From the engine's result {stages, estimate}. Owned by the caller. */
struct json *estimate_make(const struct estimate_options *options, const struct json *result);

/* What of a row's estimate (its text, or NULL) others ask for; 0 when unknown. */
int64_t estimate_bytes(const char *estimate, const char *key);

/* What a stage came to: `stage` is its header on the wire, `seconds` what its epochs took. */
void estimate_learn(const struct estimate_options *options, const struct json *stage,
                    double flops_per_step, double seconds);

#endif
