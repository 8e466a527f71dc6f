/* jobspec_table.h -- the tables of the job spec; internal to api/spec. */
#ifndef THAW_API_SPEC_JOBSPEC_TABLE_H
#define THAW_API_SPEC_JOBSPEC_TABLE_H

#include "api/spec/field.h"

#define JOBSPEC_MAX_EPOCHS 10000 /* of a stage, and of all stages together */
#define JOBSPEC_MAX_STAGES 64

extern const struct fields jobspec_fields;
extern const struct fields
    jobspec_augment_fields; /* of "augment" as an object, all with defaults */

#endif
