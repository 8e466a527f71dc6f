/* predict_body.h -- the JSON form of a prediction: texts, and what is wished of their answers.
 *
 * {"text": TEXT} or {"texts": [TEXT, ...]}, "top_k"; of a language model "next", "temperature",
 * "seed". A TEXT is a string, or a list of strings: the fields of a data set of several text
 * columns. */
#ifndef THAW_API_PREDICT_BODY_H
#define THAW_API_PREDICT_BODY_H

#include <stdbool.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"

#define PREDICT_MAX_TOP_K       1000
#define PREDICT_MAX_TEXTS       256
#define PREDICT_MAX_NEXT        500
#define PREDICT_MAX_TEMPERATURE 10.0

#define PREDICT_FIELD_SEPARATOR 0x1f /* as engine/text/rules.h has it */

/* What is asked of every picture or text. */
struct predict_wish {
    int64_t top_k;
    bool tta;
    int64_t next;
    double temperature;
    int64_t seed;
};

struct predict_text {
    const char *bytes; /* arena; fields parted by PREDICT_FIELD_SEPARATOR */
    size_t len;
};

/* `wish` has the defaults. E_INVALID and E_SYNTAX with a pointer to what is wrong. *texts: arena.
 */
enum status predict_body_read(const struct json *body, struct arena *arena,
                              struct predict_wish *wish, struct predict_text **texts, size_t *n,
                              struct err *err);

#endif
