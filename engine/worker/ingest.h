/* ingest.h -- the verb `ingest`: an uploaded archive becomes a pack.
 *
 * Document (api/spec/wire.h): {verb, upload, out, options, skip:[ordinal...], limits}. `limits`
 * may hold max_bytes, max_entries, max_pixels, max_item_bytes; what is absent has the default
 * below. Writes out/pack, out/index and out/result.json. */
#ifndef THAW_ENGINE_WORKER_INGEST_H
#define THAW_ENGINE_WORKER_INGEST_H

#include "base/json.h"
#include "base/status.h"

struct report;

enum status ingest_run(struct report *report, const struct json *document, struct err *err);

#endif
