/* fuzz_json.c -- what json_parse accepts prints back as valid JSON of the same value. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *first = NULL, *second = NULL;
    struct err err = {0};
    if (json_parse((const char *)data, size, &first, &err) != OK) {
        if (!err.detail[0])
            abort();
        return 0;
    }
    char *text = json_text(first);
    if (!utf8_is_valid(text, strlen(text)) || json_parse(text, strlen(text), &second, &err) != OK ||
        !json_equal(first, second))
        abort();
    mem_free(text);
    json_free(first);
    json_free(second);
    return 0;
}
