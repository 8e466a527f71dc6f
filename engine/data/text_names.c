/* text_names.c -- see text_set.h: classes that are probably one, written in two ways. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/data/text_set.h"

#define MAX_WARNINGS 20

/* Capital letters of the scripts that have them, each `step`-th from first to last: the small one
 * stands `up` above it. Enough to see that two labels are one; no full case folding. */
static const struct {
    uint32_t first, last, step, up;
} capitals[] = {
    {'A', 'Z', 1, 32},      {0xc0, 0xd6, 1, 32},     {0xd8, 0xde, 1, 32},   {0x100, 0x136, 2, 1},
    {0x139, 0x147, 2, 1},   {0x14a, 0x176, 2, 1},    {0x391, 0x3a1, 1, 32}, {0x3a3, 0x3ab, 1, 32},
    {0x400, 0x40f, 1, 80},  {0x410, 0x42f, 1, 32},   {0x460, 0x480, 2, 1},  {0x531, 0x556, 1, 48},
    {0x1e00, 0x1e94, 2, 1}, {0xff21, 0xff3a, 1, 32},
};

static uint32_t character(const char *text, size_t n)
{
    static const uint8_t lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (uint8_t)text[0] & lead[n];
    for (size_t i = 1; i < n; i++)
        code = code << 6 | ((uint8_t)text[i] & 0x3f);
    return code;
}

static uint32_t small(uint32_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(capitals); i++)
        if (code >= capitals[i].first && code <= capitals[i].last &&
            (code - capitals[i].first) % capitals[i].step == 0)
            return code + capitals[i].up;
    return code;
}

static bool is_space(uint32_t code)
{
    return code <= ' ' || code == 0xa0 || code == 0x3000 || (code >= 0x2000 && code <= 0x200b);
}

/* What stays of a name without case and spaces: code points. */
static void fold(const char *name, struct buf *out)
{
    size_t left = strlen(name);
    for (size_t n; left && (n = utf8_sequence(name, left)); name += n, left -= n) {
        uint32_t code = small(character(name, n));
        if (!is_space(code))
            buf_append(out, &code, sizeof code);
    }
}

struct folded {
    char *bytes; /* owned */
    size_t len;
    uint32_t name; /* its number */
};

static int compare_folded(const void *left, const void *right)
{
    const struct folded *a = left, *b = right;
    size_t len = a->len < b->len ? a->len : b->len;
    int order = len ? memcmp(a->bytes, b->bytes, len) : 0;
    if (order || a->len != b->len)
        return order ? order : a->len < b->len ? -1 : 1;
    return a->name < b->name ? -1 : a->name > b->name;
}

static bool are_alike(const struct folded *a, const struct folded *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static void warn_of(char *const *names, const struct folded *alike, uint32_t n,
                    const struct text_set_ears *ears)
{
    struct buf text;
    buf_init(&text, 900);
    buf_puts(&text, "These labels differ by spaces or case alone, and are classes of their own: ");
    for (uint32_t i = 0; i < n && text.len < 700; i++)
        buf_printf(&text, "%s\"%.80s\"", i ? ", " : "", names[alike[i].name]);
    buf_puts(&text, ".");
    ears->warn(ears->context, text.data);
    buf_deinit(&text);
}

void text_set_compare_classes(char *const *names, uint32_t n, const struct text_set_ears *ears)
{
    struct folded *all = mem_alloc(((size_t)n + 1) * sizeof *all);
    for (uint32_t i = 0; i < n; i++) {
        struct buf folded;
        buf_init(&folded, 4 * PACK_MAX_NAME);
        fold(names[i], &folded);
        size_t len = folded.len;
        all[i] = (struct folded){buf_take(&folded), len, i};
    }
    if (n)
        qsort(all, n, sizeof *all, compare_folded);
    int warned = 0;
    for (uint32_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && are_alike(&all[first], &all[end]);)
            end++;
        if (end - first > 1 && warned++ < MAX_WARNINGS)
            warn_of(names, all + first, end - first, ears);
    }
    for (uint32_t i = 0; i < n; i++)
        mem_free(all[i].bytes);
    mem_free(all);
}
