/* evaluate_subject.h -- what the tasks `evaluate` and `predict` work on: a model with a classifier
 * or an ensemble of them, a data set's items, and how their labels become the model's classes.
 *
 * The models of an ensemble are of one kind and have the same classes, by name, in whatever order;
 * each keeps its own network, picture size, vocabulary and direction of reading.
 * The run (evaluate.c) and what is said of it before it is made (evaluate_plan) open the same. */
#ifndef THAW_ENGINE_TRAIN_EVALUATE_SUBJECT_H
#define THAW_ENGINE_TRAIN_EVALUATE_SUBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/core/plan.h"
#include "engine/format/model_file.h"
#include "engine/train/text_evaluate.h"
#include "engine/train/trainer.h"
#include "engine/train/warnings.h"

struct evaluate_model {
    const char *name;          /* borrowed from the spec: what people call it */
    struct model_info info;    /* owned */
    struct graph *graph;       /* owned */
    int32_t *places;           /* owned; (classes) where it has the first model's classes; NULL: it
                                  is the first */
    struct text_evaluate text; /* owned; of texts, where there are `values` */
};

struct evaluate_subject {
    const char *task;  /* borrowed from the spec */
    int views;         /* augmented copies of each item: "tta" */
    int64_t batch;     /* rows of a forward pass */
    struct pack *pack; /* owned */
    uint32_t *items;   /* owned */
    uint32_t n_items;
    struct evaluate_model *models; /* owned; the first one's classes are the report's */
    int n_models;
    int32_t *label_map; /* owned; (the pack's classes) */
    struct warnings warnings;
};

/* Whether the spec's task is one of the two. */
bool evaluate_is_task(const struct json *spec);

/* E_INVALID: no classifier, weights that do not fit, classes that do not match, no items. Without
 * `values` the weights are only checked for their shapes. */
enum status evaluate_open(struct evaluate_subject *subject, const struct trainer_options *options,
                          bool values, struct err *err);
void evaluate_close(struct evaluate_subject *subject);

struct plan_options evaluate_plan_options(const struct evaluate_subject *subject,
                                          const struct evaluate_model *model);
int64_t evaluate_steps(const struct evaluate_subject *subject);

/* The run as the verb `plan` tells of it: {stages, estimate}, one stage in which nothing trains.
 * E_NO_SPACE when its peak is above `memory_limit` bytes (0: no limit). Owned by the caller. */
enum status evaluate_plan(const struct trainer_options *options, int64_t memory_limit,
                          struct json **result, struct err *err);

#endif
