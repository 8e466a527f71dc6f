/* jobspec_table.h -- the tables of the job spec; internal to api/spec.
 *
 * One file a group of fields: jobspec_table.c has the top level, jobspec_data.c what the network
 * sees (pictures, samples, augmentation), jobspec_text.c texts, jobspec_stage.c a stage with its
 * rates and schedule, jobspec_training.c the optimiser and the callbacks. */
#ifndef THAW_API_SPEC_JOBSPEC_TABLE_H
#define THAW_API_SPEC_JOBSPEC_TABLE_H

#include "api/spec/field.h"
#include "api/spec/jobspec.h"

#define JOBSPEC_MAX_EPOCHS 10000 /* of a stage, and of all stages together */
#define JOBSPEC_MAX_STAGES 64
#define JOBSPEC_MAX_RATE   10
#define JOBSPEC_MAX_STEPS  10000000
#define JOBSPEC_MAX_BATCH  4096
#define JOBSPEC_MAX_OTHERS (JOBSPEC_MAX_ENSEMBLE - 1) /* beside "model" */

#define JOBSPEC_FIELDS(rows) rows, ARRAY_LEN(rows)

extern const struct fields jobspec_fields;

/* Choices that several fields share; NULL-terminated. */
extern const char *const jobspec_forms[];     /* "v1", "v2" */
extern const char *const jobspec_automatic[]; /* "auto" */
extern const char *const jobspec_monitors[];  /* metrics to watch */
extern const char *const jobspec_augments[];  /* augmentations by name */

extern const struct fields jobspec_image_fields;
extern const struct fields jobspec_text_fields;
extern const struct fields jobspec_sample_fields;
extern const struct fields jobspec_augment_fields; /* of "augment" as an object: "default" is it */
extern const struct fields jobspec_cache_fields;

extern const struct field jobspec_stage; /* an element of "stages" */

extern const struct fields jobspec_optimizer_fields;
extern const struct fields jobspec_save_best_fields;
extern const struct fields jobspec_early_stop_fields;
extern const struct fields jobspec_plateau_fields;
extern const struct fields jobspec_lr_find_fields;

#endif
