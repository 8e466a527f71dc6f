/* curve.h -- the learning curve of a job with `fractions`: accuracy against training items.
 *
 * At the end of each fraction's last stage the trainer runs the model over the same validation
 * items (those of the largest fraction) and hands one bit an item to a file of the run's folder,
 * FOLDER/curve-K.bits, which survives a resume. The end of the run reads them all.
 *
 * Uncertainty is a bootstrap over validation items: 1000 resamples with replacement from
 * rng_stream("bootstrap", seed, resample), the same resample for every fraction; low and high are
 * the 2.5th and 97.5th percentile (linear between order statistics, as numpy). It says how far
 * these validation items decide the figure, not how far another training run would.
 *
 * From 4 fractions on, error = a + b * n^-c is fitted (power_law.h), and what twice the data would
 * bring is read off it; its low and high come from fitting each resample. */
#ifndef THAW_ENGINE_TRAIN_CURVE_H
#define THAW_ENGINE_TRAIN_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

#define CURVE_MAX_POINTS 64
#define CURVE_RESAMPLES  1000

/* Which validation items a model named rightly, in the order in which they are added. */
struct curve_bits {
    uint8_t *bits; /* owned */
    int64_t n, capacity;
};

enum status curve_bits_init(struct curve_bits *bits, int64_t n_items, struct err *err);
void curve_bits_deinit(struct curve_bits *bits);
/* Adds a validation batch: logits (rows, classes). At most n_items rows in all. */
void curve_bits_add(struct curve_bits *bits, const float *logits, const int32_t *labels,
                    int64_t rows, int64_t classes);

void curve_bits_push(struct curve_bits *bits, bool right); /* one item */

/* FOLDER/curve-INDEX.bits, atomically; run_sha256 names the run it belongs to. */
struct curve_point {
    int index; /* of the fraction, from 0 */
    double fraction;
    int64_t n_train;
};
enum status curve_save(const char *folder, const char *run_sha256, const struct curve_point *point,
                       const struct curve_bits *bits, struct err *err);

/* Reads the files of `n_points` fractions and computes {learning_curve: [{fraction, n_train,
 * accuracy, low, high}], power_law: {a, b, c, twice: {n_train, accuracy, low, high}, detail} |
 * null}, owned by the caller. A file that is missing, damaged or another run's is named in
 * the error. */
enum status curve_report(const char *folder, const char *run_sha256, int n_points, uint64_t seed,
                         struct json **curve, struct err *err);

#endif
