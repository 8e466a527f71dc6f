/* jobspec.h -- the job spec: every field in one table, and its resolution.
 *
 * jobspec_resolve takes what a client sent and returns it with every default filled in and the
 * preset turned into `stages`; what it returns is valid, complete and all the engine reads. A spec
 * that was resolved resolves to itself. The table (jobspec_table.c) validates, supplies defaults
 * and ranges, finds the nearest valid name for a misspelt one, and prints docs/RECIPES.md.
 *
 * A resolved stage:
 *   {"name": "stage-1", "freeze_to": -1, "epochs": 1, "min_steps": 0,
 *    "lr": {"slice": [null, 2e-3]},
 *    "schedule": {"name": "one_cycle", "form": "v2", "pct_start": .99, "div": 25, "div_final": 1e5,
 *                 "momentum": [.95, .85, .95]}, "then": "go_on", "fresh": false}
 * and, where it was given its own, "image", "batch_size", "augment", "sample"; without, the job's.
 * Resolved besides: "augment" is "none" or the object; preset parameters and "fractions" are gone,
 * since the stages say it all; tasks that do not train have no stages; "image.size" null is the
 * size that the network was made for; fields of pictures are gone from jobs on texts, and the other
 * way round; "batch_size" may still be "auto", since it takes the data to
 * know; "head_form" is "v1" or "v2". */
#ifndef THAW_API_SPEC_JOBSPEC_H
#define THAW_API_SPEC_JOBSPEC_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"

/* Models whose probabilities are averaged, in jobs and predictions. */
#define JOBSPEC_MAX_ENSEMBLE 8

/* E_SYNTAX (unknown key, wrong type) or E_INVALID (out of range, contradiction), with err->pointer.
 * Whether dataset and model exist is the caller's to check. *resolved is owned by the caller. */
enum status jobspec_resolve(const struct json *spec, struct json **resolved, struct err *err);

/* Whether the job is on texts: by its task, or else by anything that is for texts alone. Who knows
 * the dataset says so first: jobspec_set_kind gives a spec that leaves it open the task, or for
 * tasks on either kind the "text", that goes with a dataset of this kind. */
bool jobspec_is_text(const struct json *spec);
void jobspec_set_kind(struct json *spec, bool text);

/* The table of fields, and that of presets, as Markdown: what docs/RECIPES.md is made of. */
void jobspec_print_table(struct buf *out);
void jobspec_print_presets(struct buf *out);

#endif
