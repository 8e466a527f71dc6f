/* jobspec_parts.h -- the two halves of jobspec_resolve; internal to api/spec. */
#ifndef THAW_API_SPEC_JOBSPEC_PARTS_H
#define THAW_API_SPEC_JOBSPEC_PARTS_H

#include "base/json.h"
#include "base/status.h"

/* Every rule: those of the table, then those that no row can say. Of a client's spec, and of the
 * resolved one again: names that were defaults may meet given ones, and epochs add up only then. */
enum status jobspec_check(const struct json *spec, struct err *err);

/* Fills in what depends on other fields, in a spec that jobspec_check has passed and
 * fields_complete has completed: the preset's stages and defaults, forms, schedules, fractions. */
void jobspec_fill(struct json *spec);

#endif
