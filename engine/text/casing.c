/* casing.c -- replace_all_caps, replace_maj, lowercase: capitals become marks and small letters. */
#include "engine/text/rules_steps.h"

#include <string.h>

#include "engine/text/character.h"

#define GROWTH 2 /* a small letter has at most so many times the bytes of its capital */

static bool is_capital(char byte)
{
    return byte >= 'A' && byte <= 'Z';
}

static bool is_small(char byte)
{
    return byte >= 'a' && byte <= 'z';
}

static size_t space_end(const char *text, size_t len, size_t at)
{
    size_t character_len;
    while (at < len && char_is_space(char_read(text + at, &character_len)))
        at += character_len;
    return at;
}

static size_t word_end(const char *text, size_t len, size_t at)
{
    size_t character_len = 1;
    while (at < len && !char_is_space(char_read(text + at, &character_len)))
        at += character_len;
    return at;
}

/* [A-Z]+[^a-z\s]* */
static bool is_all_caps(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (is_small(word[i]))
            return false;
    return is_capital(word[0]);
}

/* [A-Z][^A-Z\s]* */
static bool is_capitalised(const char *word, size_t len)
{
    for (size_t i = 1; i < len; i++)
        if (is_capital(word[i]))
            return false;
    return is_capital(word[0]);
}

/* Every whole word that `fits` becomes small, with `mark` in front if it has two characters. A
 * capital of ASCII is one byte, so a word of one byte is one of one character. */
static void mark_words(struct work *work, bool (*fits)(const char *word, size_t len),
                       const char *mark)
{
    const char *text = work->text;
    char *out = work_room(work, 4 * work->len + 16);
    size_t n = 0, mark_len = strlen(mark);
    for (size_t i = 0; i < work->len;) {
        size_t start = space_end(text, work->len, i), end = word_end(text, work->len, start);
        size_t len = end - start;
        memcpy(out + n, text + i, start - i);
        n += start - i;
        if (len > 0 && fits(text + start, len)) {
            memcpy(out + n, mark, mark_len);
            n += len > 1 ? mark_len : 0;
            n += text_lower(text + start, len, out + n);
        } else {
            memcpy(out + n, text + start, len);
            n += len;
        }
        i = end;
    }
    work_take(work, n);
}

void step_all_caps(struct work *work)
{
    mark_words(work, is_all_caps, "xxup ");
}

void step_maj(struct work *work)
{
    mark_words(work, is_capitalised, "xxmaj ");
}

void step_lowercase(struct work *work)
{
    size_t start = space_end(work->text, work->len, 0), end = work->len, len;
    while (end > start && char_is_space(char_before(work->text, end, &len)))
        end -= len;
    char *out = work_room(work, GROWTH * work->len + 8);
    size_t n = work->is_first ? 6 : 0;
    memcpy(out, "xxbos ", n);
    work_take(work, n + text_lower(work->text + start, end - start, out + n));
}
