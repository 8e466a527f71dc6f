/* fuzz_jobspec.c -- a spec that resolves, resolves to itself; one that does not, says why. */
#include <stdlib.h>
#include <string.h>

#include "api/spec/jobspec.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *spec = NULL, *once = NULL, *twice = NULL;
    struct err err = {0};
    if (json_parse((const char *)data, size, &spec, &err) != OK)
        return 0;
    if (jobspec_resolve(spec, &once, &err) != OK) {
        if (!err.detail[0] || once)
            abort();
    } else if (jobspec_resolve(once, &twice, &err) != OK || !json_equal(once, twice)) {
        abort();
    }
    json_free(spec);
    json_free(once);
    json_free(twice);
    return 0;
}
