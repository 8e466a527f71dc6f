/* outline.h -- what a recipe will do, stage by stage, before or without doing it: the schedule that
 * a dry run shows and a run leaves as schedule.json. */
#ifndef THAW_ENGINE_TRAIN_OUTLINE_H
#define THAW_ENGINE_TRAIN_OUTLINE_H

#include "base/json.h"
#include "engine/train/recipe.h"

#define OUTLINE_FILE     "schedule.json"
#define OUTLINE_MAX_ROWS 2000 /* of a stage */

/* An array, one object a stage: {name, epochs, steps, steps_per_epoch, batch_size, size, n_train,
 * n_valid, groups: [{name, frozen, parameters, trainable_parameters}], step: [...],
 * learning_rates: [[one a group]...], momentum: [...]}. One row a step, thinned evenly to
 * OUTLINE_MAX_ROWS (less where there are many stages), first and last kept. A group's rate is the
 * one its trainable parameters use, 0 where it has none; null while the finder has yet to say.
 * `graph` is the recipe's network; its parameters need no values. */
struct json *outline_stages(const struct recipe *recipe, const struct graph *graph);

/* FOLDER/schedule.json: {stages}. */
enum status outline_write(const char *folder, const struct recipe *recipe,
                          const struct graph *graph, struct err *err);

#endif
