/* fuzz_multipart.c -- a form is the same however its bytes are cut, and however much the sink takes
 * at a time. The input's first byte steers that; the boundary is "b". */
#include "tests/fuzz/fuzz.h"

#include "base/buf.h"
#include "server/multipart.h"

struct form {
    struct buf seen; /* all that the sink was told, written down */
    size_t takes;    /* at most so many bytes at a time */
    bool open;       /* a part has begun and not ended */
};

static enum status begin(void *context, const struct multipart_part *part, struct err *err)
{
    struct form *form = context;
    (void)err;
    promise(!form->open && part->name);
    form->open = true;
    buf_printf(&form->seen, "[%s|%s|%s:", part->name, part->file_name ? part->file_name : "-",
               part->content_type ? part->content_type : "-");
    return OK;
}

static enum status data_came(void *context, const char *bytes, size_t len, size_t *taken,
                             struct err *err)
{
    struct form *form = context;
    (void)err;
    promise(form->open);
    *taken = len < form->takes ? len : form->takes;
    buf_append(&form->seen, bytes, *taken);
    return OK;
}

static enum status part_ended(void *context, struct err *err)
{
    struct form *form = context;
    (void)err;
    promise(form->open);
    form->open = false;
    buf_puts(&form->seen, "]");
    return OK;
}

/* Feeds `step` bytes at a time; what came of it. */
static enum status feed(struct form *form, const char *bytes, size_t size, size_t step)
{
    struct multipart parser;
    struct multipart_sink sink = {form, begin, data_came, part_ended};
    struct err err = {0};
    promise(multipart_init(&parser, "multipart/form-data; boundary=b", &sink, &err) == OK);
    for (size_t at = 0, used = 0; at < size; at += used) {
        size_t n = size - at < step ? size - at : step;
        enum status status = multipart_feed(&parser, bytes + at, n, &used, &err);
        if (status != OK) {
            promise(err.detail[0]);
            return status;
        }
        promise(used <= n);
    }
    return multipart_finish(&parser, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct form whole = {.takes = SIZE_MAX}, cut = {.takes = 1 + data[0] / 16};
    buf_init(&whole.seen, 1u << 20);
    buf_init(&cut.seen, 1u << 20);
    const char *bytes = (const char *)data + 1;
    enum status first = feed(&whole, bytes, size - 1, size);
    enum status second = feed(&cut, bytes, size - 1, 1 + data[0] % 16);
    promise(first == second);
    if (first == OK)
        promise(!whole.open && whole.seen.len == cut.seen.len &&
                memcmp(whole.seen.data, cut.seen.data, whole.seen.len) == 0);
    buf_deinit(&whole.seen);
    buf_deinit(&cut.seen);
    return 0;
}
