/* exports.h -- models in other formats, kept so that the next download is immediate.
 *
 * A cache: the key is the weights' own blob, the format and the version that wrote it. Rows whose
 * weights no model and no checkpoint has any more are worth nothing, and neither are their blobs
 * (sweep.c knows); exports_expire removes them. */
#ifndef THAW_STORE_EXPORTS_H
#define THAW_STORE_EXPORTS_H

#include "store/db.h"

struct export_row {
    const char *id;
    const char *weights; /* blob: the safetensors file it was made from */
    const char *format;  /* "onnx", "bundle" */
    const char *version; /* of the engine that made it */
    const char *sha256;  /* blob */
    int64_t bytes;
    int64_t created_ms;
};

/* *found false: it has to be made. */
enum status export_find(struct store *store, const char *weights, const char *format,
                        const char *version, struct arena *arena, struct export_row *row,
                        bool *found, struct err *err);
/* Inserts, or replaces what was kept of these weights in this format. `id` and `created_ms` are
 * filled in. */
enum status export_put(struct store *store, const struct export_row *row, struct err *err);

enum status exports_expire(struct store *store, struct err *err); /* hourly */
/* The same for one file of weights, which a model had until now; its blobs go at once. */
void exports_release(struct store *store, const char *weights);

#endif
