#include "tests/unit/engine/train/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"

struct json *golden_read(const char *name)
{
    struct err err = {0};
    struct json *json = NULL;
    struct buf text;
    char *path = mem_printf("tests/golden/%s", name);
    buf_init(&text, 16u << 20);
    if (fs_read_file(path, &text, &err) != OK || json_parse(text.data, text.len, &json, &err) != OK)
        fail_msg("%s (tests run from the top of the tree)", err.detail);
    mem_free(path);
    buf_deinit(&text);
    return json;
}
