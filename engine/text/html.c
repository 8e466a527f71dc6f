/* html.c -- fastai's fix_html: twelve replacements, the ellipsis, and Python's html.unescape. */
#include "engine/text/rules_steps.h"

#include <string.h>

#include "base/mem.h"
#include "engine/text/character.h"
#include "engine/text/entities.h"

#define MAX_NAME_CHARACTERS 32

/* In this order: what one leaves, the next may find. */
static const struct {
    const char *from, *to;
} replacements[] = {
    {"#39;", "'"},  {"amp;", "&"},  {"#146;", "'"},           {"nbsp;", " "}, {"#36;", "$"},
    {"\\n", "\n"},  {"quot;", "'"}, {"<br />", "\n"},         {"\\\"", "\""}, {"<unk>", "xxunk"},
    {" @.@ ", "."}, {" @-@ ", "-"}, {"...", " \xe2\x80\xa6"},
};

static void replace(struct work *work, const char *from, const char *to)
{
    size_t from_len = strlen(from), to_len = strlen(to), n = 0;
    const char *at = work->text, *end = work->text + work->len;
    const char *found = memmem(at, work->len, from, from_len);
    if (!found)
        return;
    char *out = work_room(work, 2 * work->len); /* none grows more than 3 bytes to 4 */
    while (found) {
        memcpy(out + n, at, (size_t)(found - at));
        n += (size_t)(found - at);
        memcpy(out + n, to, to_len);
        n += to_len;
        at = found + from_len;
        found = memmem(at, (size_t)(end - at), from, from_len);
    }
    memcpy(out + n, at, (size_t)(end - at));
    work_take(work, n + (size_t)(end - at));
}

/* The HTML standard's reading of numbers that are no characters: those of Windows-1252. */
static uint32_t numbered_character(uint32_t number)
{
    static const uint16_t windows[32] = {
        0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021, 0x2c6,  0x2030, 0x160,
        0x2039, 0x152,  0x8d,   0x17d,  0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};
    if (number >= 0x80 && number <= 0x9f)
        return windows[number - 0x80];
    if (number == 0 || (number >= 0xd800 && number <= 0xdfff) || number > 0x10ffff)
        return CHAR_REPLACEMENT;
    return number;
}

/* Characters that html.unescape leaves out. */
static bool is_left_out(uint32_t number)
{
    return number <= 0x10ffff &&
           ((number >= 0x1 && number <= 0x8) || number == 0xb ||
            (number >= 0xe && number <= 0x1f) || number == 0x7f ||
            (number >= 0xfdd0 && number <= 0xfdef) || (number & 0xfffe) == 0xfffe);
}

static int digit(char byte, unsigned base)
{
    int value = byte >= '0' && byte <= '9'   ? byte - '0'
                : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                             : 16;
    return value < (int)base ? value : -1;
}

/* "#233;" or "#xe9;" at the front of `text`: its bytes, 0 if it is none; *n: bytes written. */
static size_t number_reference(const char *text, size_t len, char *out, size_t *n)
{
    bool is_hex = len > 1 && (text[1] == 'x' || text[1] == 'X');
    unsigned base = is_hex ? 16 : 10;
    size_t first = is_hex ? 2 : 1, i = first;
    uint32_t number = 0;
    for (; i < len && digit(text[i], base) >= 0; i++)
        if (number <= 0x10ffff)
            number = number * base + (uint32_t)digit(text[i], base);
    if (i == first)
        return 0;
    *n = is_left_out(number) ? 0 : char_write(numbered_character(number), out);
    return i < len && text[i] == ';' ? i + 1 : i;
}

/* The bytes of a name: up to 32 characters of those that names may have. */
static size_t name_len(const char *text, size_t len)
{
    size_t i = 0, character_len;
    for (int n = 0; n < MAX_NAME_CHARACTERS && i < len; n++, i += character_len) {
        char_read(text + i, &character_len);
        if (strchr("\t\n\f <&#;", text[i]) && text[i] != '\0')
            break;
    }
    return i;
}

/* "eacute;" at the front, or an old name without semicolon, the longest that fits. */
static size_t named_reference(const char *text, size_t len, char *out, size_t *n)
{
    size_t name = name_len(text, len);
    bool closed = name < len && text[name] == ';';
    *n = entity_find(text, name, closed, out);
    if (*n > 0)
        return name + closed;
    for (size_t i = name < ENTITY_LEGACY_MAX ? name : ENTITY_LEGACY_MAX; i > 1; i--) {
        *n = entity_find(text, i, false, out);
        if (*n > 0)
            return i;
    }
    return 0;
}

static void unescape(struct work *work)
{
    const char *text = work->text;
    size_t n = 0;
    if (work->len == 0 || !memchr(text, '&', work->len))
        return;
    char *out = work_room(work, 2 * work->len + ENTITY_MAX);
    for (size_t i = 0; i < work->len;) {
        size_t left = work->len - i - 1, written = 0, taken = 0;
        if (text[i] == '&' && left > 0)
            taken = text[i + 1] == '#' ? number_reference(text + i + 1, left, out + n, &written)
                                       : named_reference(text + i + 1, left, out + n, &written);
        if (taken == 0)
            out[n++] = text[i];
        n += written;
        i += 1 + taken;
    }
    work_take(work, n);
}

void step_fix_html(struct work *work)
{
    for (size_t i = 0; i < ARRAY_LEN(replacements); i++)
        replace(work, replacements[i].from, replacements[i].to);
    unescape(work);
}
