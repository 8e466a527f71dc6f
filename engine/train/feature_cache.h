/* feature_cache.h -- what a frozen, constant part of a network says about each picture, computed
 * once and kept on disk: each epoch of the stage then reads numbers instead of running it.
 *
 * Where. The lowest node that trains splits the network: all below it is the *prefix*. It may be
 * cached when it is constant: its batch norm uses stored statistics (frozen_batchnorm "eval", or no
 * batch norm at all as in squeezenet), nothing in it is random, and one value alone leads out of it
 * (the cut). Frozen up to the head, that is the pooled features, 2C numbers a picture.
 *
 * What. views 1: the plain view (centre crop, as validation sees it), whatever the stage's
 * augmentation. views K > 1: K augmented views, drawn as epochs 0..K-1 of the run's first stage
 * draw them; epoch e reads view e mod K. Without augmentation all views are the plain one.
 * Validation is always plain. A cached stage equals an uncached one on the same views.
 *
 * How. FOLDER/features-KEY.cache, KEY = SHA-256 of everything the numbers depend on. Blocks of
 * pictures are appended, each with its own digest, so a killed run goes on with what is whole, a
 * larger sample adds what it lacks, and damage costs the damaged part. Rows are read with pread: a
 * failing disk is an error, no SIGBUS. One thread uses a cache.
 *
 *     cut = feature_cache_cut(graph, &train_options, &mix, &why)   NODE_NONE: train without
 *     prefix_options = feature_cache_prefix(&train_options, cut)   plan_new -> the prefix plan
 *     train_options.input_node = valid_options.input_node = cut    plan_new -> what is left to do
 *     feature_cache_open, fill; then batches_... as from a loader (batches.h)
 *     feature_cache_close; at the end of the run feature_cache_remove_all */
#ifndef THAW_ENGINE_TRAIN_FEATURE_CACHE_H
#define THAW_ENGINE_TRAIN_FEATURE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/status.h"
#include "engine/core/plan.h"
#include "engine/data/loader.h"
#include "engine/data/pack.h"
#include "engine/train/mix.h"

#define FEATURE_CACHE_MAX_VIEWS 16

struct feature_cache; /* owns its files */

/* The node that a stage with these options (PLAN_TRAIN) can be cut at; else NODE_NONE and in *why
 * the reason, a clause: "batch norm of the frozen layers trains". */
int feature_cache_cut(const struct graph *graph, const struct plan_options *train,
                      const struct mix_options *mix, const char **why);

/* The inference plan that computes the values of `cut` for the same batch and size. Making it may
 * decide how parameters are laid out: a resumed run makes it where an uninterrupted one does. */
struct plan_options feature_cache_prefix(const struct plan_options *train, int cut);

struct feature_cache_options {
    const char *folder;        /* the run's */
    const char *run_sha256;    /* names the run: spec, data and starting weights */
    const struct pack *pack;   /* borrowed until closed */
    const struct graph *graph; /* the prefix's weights, which the key is made of */
    int cut;
    size_t row_floats;   /* plan_input_row of the plan that is left to do */
    int64_t size, batch; /* of the stage */
    int views;           /* 1..FEATURE_CACHE_MAX_VIEWS */
    struct augment_options augment;
    uint64_t seed;
    const uint32_t *train, *valid; /* item numbers */
    uint32_t n_train, n_valid;
    int threads; /* of the loader that fills it */
};

#define FEATURE_CACHE_WARNING 300

/* Opens, or makes, the files and finds what is there already; borrows nothing but the pack. Damage
 * is never an error: what it hit is computed again, and `warning` says so in a sentence, else it is
 * "". E_NO_SPACE when the disk has no room for what is missing: the stage can train without. */
enum status feature_cache_open(const struct feature_cache_options *options,
                               struct feature_cache **cache, char warning[FEATURE_CACHE_WARNING],
                               struct err *err);
void feature_cache_close(struct feature_cache *cache); /* the files stay; NULL is fine */

/* Computes what is missing with `prefix`, a plan of feature_cache_prefix's options. `go_on` is
 * asked after each batch and told how many pictures of all are done; false stops the filling with
 * E_CANCELLED, and what was computed stays. Other failures: E_NO_SPACE (train without), E_IO, and
 * the loader's. */
enum status feature_cache_fill(struct feature_cache *cache, struct plan *prefix,
                               bool (*go_on)(void *context, int64_t done, int64_t all),
                               void *context, struct err *err);

struct feature_cache_stats {
    int views;                /* after lowering: 1 without augmentation */
    int64_t computed, reused; /* pictures, each view counts: by this process, and found */
    uint64_t bytes;           /* of the files */
    double seconds;           /* that the filling took */
};
struct feature_cache_stats feature_cache_stats(const struct feature_cache *cache);

/* What the cache has saved after `epochs` epochs, in seconds: so many passes over all pictures as
 * fast as the filling went, less the filling. 0 where this process computed nothing. */
double feature_cache_saved(const struct feature_cache *cache, int64_t epochs);

/* One item's features: the plain view's for LOADER_VALID, of the epoch's view for LOADER_TRAIN. */
enum status feature_cache_read(const struct feature_cache *cache, enum loader_pass pass,
                               uint32_t item, uint32_t epoch, float *row, struct err *err);
size_t feature_cache_row(const struct feature_cache *cache); /* floats */

/* Removes every features-*.cache of a run's folder, as far as it goes. */
void feature_cache_remove_all(const char *folder);

#endif
