#include "engine/worker/document.h"

#include "api/spec/jobspec.h"

#define MAX_THREADS 1024

enum status document_spec(const struct json *document, struct json **spec, struct err *err)
{
    struct json *copy = json_copy(json_get(document, "spec"));
    if (!json_get(copy, "dataset"))
        json_set_string(copy, "dataset", "ds_local");
    enum status status = jobspec_resolve(copy, spec, err);
    json_free(copy);
    return status;
}

enum status document_threads(const struct json *document, const struct json *spec, int *threads,
                             struct err *err)
{
    int64_t n = json_integer(document, "threads", json_integer(spec, "threads", 0));
    if (n < 0 || n > MAX_THREADS)
        return err_set(err, E_INVALID, "A run takes 1 to %d threads, or 0 for all there are.",
                       MAX_THREADS);
    *threads = (int)n;
    return OK;
}
