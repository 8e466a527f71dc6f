/* costs.h -- what finished stages cost on this machine: from them the time of a job is estimated.
 *
 * A row is learned from stages that ran alone; nothing is ever measured for its own sake. */
#ifndef THAW_STORE_COSTS_H
#define THAW_STORE_COSTS_H

#include "store/db.h"

/* What a stage's cost depends on. */
struct cost_key {
    const char *machine; /* the processor's name: a data directory may move to another machine */
    const char *isa;
    int64_t threads;
    const char *architecture;
    int64_t image_size, frozen_groups; /* size 0: of texts, whose "images" are rows of a batch */
    const char *mode; /* of the frozen part: "train", "eval", "cache"; "pass": all of it, once; of
                         texts the phase */
};

struct cost {
    int64_t image_ns;        /* nanoseconds a training image, its share of validation included */
    int64_t low_ns, high_ns; /* of the stages seen */
    int64_t image_flops;     /* of the same image and share */
    int64_t stages;          /* how many it was learned from */
};

/* Adds one stage's cost (its image_ns and image_flops) to what is known of its key. */
enum status cost_learn(struct store *store, const struct cost_key *key, const struct cost *stage,
                       struct err *err);

/* What is known of the key; E_NOT_FOUND. */
enum status cost_get(struct store *store, const struct cost_key *key, struct cost *cost,
                     struct err *err);

/* What is known of everything on this machine with these threads and instructions, as if it were
 * one: nanoseconds a billion operations (mean, least, most) stand in image_ns, low_ns and high_ns,
 * 1e9 in image_flops. With an architecture only its own rows count. E_NOT_FOUND. */
enum status cost_similar(struct store *store, const struct cost_key *key, bool architecture,
                         struct cost *cost, struct err *err);

#endif
