/* synth.h -- the verb `synth`: writes a drawn data set (engine/data/synth.h) to a folder, a tar or
 * a zip.
 *
 * Document: {verb, out, set, classes, per_class, valid, size, seed, format: "png"|"jpeg"}. */
#ifndef THAW_ENGINE_WORKER_SYNTH_H
#define THAW_ENGINE_WORKER_SYNTH_H

#include "base/json.h"
#include "base/status.h"

struct report;

enum status synth_run(struct report *report, const struct json *document, struct err *err);

#endif
