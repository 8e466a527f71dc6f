/* fuzz_target.c -- a request target is a clean path and query, or a refusal with a sentence. */
#include "tests/fuzz/fuzz.h"

#include "base/utf8.h"
#include "server/target.h"

static void check_text(const char *text)
{
    promise(text && utf8_is_valid(text, strlen(text)));
    for (; *text; text++)
        promise((unsigned char)*text >= 0x20 && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {0};
    arena_init(&arena);
    struct request request = {.arena = &arena};
    if (target_parse(arena_strndup(&arena, (const char *)data, size), &request, &err) == OK) {
        check_text(request.path);
        promise(request.path[0] == '/' && request.n_query <= REQUEST_MAX_QUERY);
        for (size_t i = 0; i < request.n_query; i++) {
            check_text(request.query[i].name);
            check_text(request.query[i].value);
        }
    } else {
        promise(err.detail[0]);
    }
    arena_deinit(&arena);
    return 0;
}
