/* document.h -- the job spec in the documents of `train` and `plan`. */
#ifndef THAW_ENGINE_WORKER_DOCUMENT_H
#define THAW_ENGINE_WORKER_DOCUMENT_H

#include "base/json.h"
#include "base/status.h"

/* The document's "spec", resolved. What thawd sends is resolved already and resolves to itself; a
 * spec written by hand may leave out all but the model. *spec is owned by the caller. */
enum status document_spec(const struct json *document, struct json **spec, struct err *err);

/* "threads" of the document, else the spec's; 0: as many as there are. E_INVALID: absurd. */
enum status document_threads(const struct json *document, const struct json *spec, int *threads,
                             struct err *err);

#endif
