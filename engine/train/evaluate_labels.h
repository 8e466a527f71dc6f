/* evaluate_labels.h -- which items a model is put over, and how their labels become its classes. */
#ifndef THAW_ENGINE_TRAIN_EVALUATE_LABELS_H
#define THAW_ENGINE_TRAIN_EVALUATE_LABELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/data/pack.h"
#include "engine/train/warnings.h"

/* The items of a job's split, ascending, owned by the caller. "valid" and "train" are what a
 * training job with the same valid_fraction and split_seed has; "test" is the pack's; "all" is
 * every item, those without a label only with `unlabelled`. E_INVALID when there are none. */
enum status evaluate_items(const struct pack *pack, const struct json *spec, bool unlabelled,
                           uint32_t **items, uint32_t *n_items, struct err *err);

/* map[c]: the place in `classes` (an array of names) of the pack's class c, by name; -1: not there,
 * which is E_INVALID when `all` must be. Of classes that only the model has there is a warning. */
enum status evaluate_match(const struct pack *pack, const struct json *classes, bool all,
                           int32_t *map, struct warnings *warnings, struct err *err);

/* places[c]: where `others`, another model's classes, has class c of `classes`. E_INVALID unless
 * both have the same names, each once: the sentence begins with "It" and says what differs from the
 * model called `name`. */
enum status evaluate_places(const struct json *classes, const struct json *others, const char *name,
                            int32_t *places, struct err *err);

#endif
