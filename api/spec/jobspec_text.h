/* jobspec_text.h -- jobs on texts against jobs on pictures; internal to api/spec but for
 * jobspec_is_text (jobspec.h). */
#ifndef THAW_API_SPEC_JOBSPEC_TEXT_H
#define THAW_API_SPEC_JOBSPEC_TEXT_H

#include "api/spec/field.h"
#include "api/spec/jobspec.h"

enum field_kind jobspec_kind(const struct json *spec);

/* Refuses fields, presets, models and stages that do not go with the job's kind. */
enum status jobspec_check_kind(const struct json *spec, struct err *err);

/* Takes out, of a completed spec, the fields of the other kind. */
void jobspec_keep_kind(struct json *spec);

/* "text" in full: sizes of a language model from nothing, else the model's own (null). */
void jobspec_fill_text(struct json *spec);

/* Of a stage that has none. */
const char *jobspec_phase(const struct json *spec);

#endif
