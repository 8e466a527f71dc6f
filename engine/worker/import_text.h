/* import_text.h -- an AWD-LSTM of others, or of this service, becomes a model of this service. */
#ifndef THAW_ENGINE_WORKER_IMPORT_TEXT_H
#define THAW_ENGINE_WORKER_IMPORT_TEXT_H

#include "engine/format/tensor_source.h"
#include "engine/worker/report.h"

/* The source's tensors have our names (import_text_rename). `vocabulary`: the path of a list of
 * words (engine/format/words.h); NULL where the file is one of ours and brings it along. E_INVALID:
 * no vocabulary, one that does not fit the weights, tensors missing or of another shape. */
enum status import_text(struct report *report, const struct json *document,
                        const struct tensor_source *source, const char *vocabulary,
                        struct err *err);

#endif
