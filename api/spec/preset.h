/* preset.h -- the recipes: what a preset's few parameters become, as stages and other defaults.
 *
 * A form, "v1" or "v2", is a generation of fastai: it decides the one-cycle schedule's numbers, the
 * optimiser's and the head's. A preset has one; a spec may override it where it says so. */
#ifndef THAW_API_SPEC_PRESET_H
#define THAW_API_SPEC_PRESET_H

#include "base/buf.h"
#include "base/json.h"

extern const char *const preset_names[];      /* NULL-terminated */
extern const char *const preset_parameters[]; /* NULL-terminated: top-level fields of the spec */

const char *preset_form(const char *preset);

/* The preset's stages with the parameters that `spec` gives; each stage still takes the defaults
 * that any stage takes. Owned by the caller. */
struct json *preset_stages(const char *preset, const struct json *spec);

/* Sets the other fields whose defaults the preset brings, where they are absent: batch_size,
 * frozen_batchnorm, feature_cache. */
void preset_fill(const char *preset, struct json *spec);

/* Markdown rows, one a preset: parameters' defaults and the rest. */
void preset_print_table(struct buf *out);

#endif
