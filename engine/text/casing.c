/* casing.c -- replace_all_caps, replace_maj, lowercase: capitals become marks and small letters. */
#include "engine/text/rules_steps.h"

#include <string.h>

#include "engine/text/character.h"

#define CAPITAL_I_DOT 0x130
#define COMBINING_DOT 0x307
#define CAPITAL_SIGMA 0x3a3
#define SMALL_SIGMA   0x3c3
#define FINAL_SIGMA   0x3c2
#define GROWTH        2 /* a small letter has at most so many times the bytes of its capital */

static bool is_capital(char byte)
{
    return byte >= 'A' && byte <= 'Z';
}

static bool is_small(char byte)
{
    return byte >= 'a' && byte <= 'z';
}

/* A sigma at i ends a word: a letter stands before it and none behind, whatever has no case (an
 * accent, an apostrophe) aside. */
static bool is_final(const char *text, size_t len, size_t i)
{
    size_t character_len, at = i;
    uint32_t character = 0;
    do {
        if (at == 0)
            return false;
        character = char_before(text, at, &character_len);
        at -= character_len;
    } while (char_is_case_ignorable(character));
    if (!char_is_cased(character))
        return false;
    char_read(text + i, &character_len);
    for (at = i + character_len; at < len; at += character_len) {
        character = char_read(text + at, &character_len);
        if (!char_is_case_ignorable(character))
            return !char_is_cased(character);
    }
    return true;
}

/* Python's str.lower; returns the bytes written. */
static size_t lower(const char *text, size_t len, char *out)
{
    size_t n = 0, character_len;
    for (size_t i = 0; i < len; i += character_len) {
        if ((unsigned char)text[i] < 0x80) {
            out[n++] = (char)(is_capital(text[i]) ? text[i] | 0x20 : text[i]);
            character_len = 1;
            continue;
        }
        uint32_t character = char_read(text + i, &character_len);
        if (character == CAPITAL_I_DOT) {
            out[n++] = 'i';
            n += char_write(COMBINING_DOT, out + n);
        } else if (character == CAPITAL_SIGMA) {
            n += char_write(is_final(text, len, i) ? FINAL_SIGMA : SMALL_SIGMA, out + n);
        } else {
            n += char_write(char_lower(character), out + n);
        }
    }
    return n;
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
            n += lower(text + start, len, out + n);
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
    work_take(work, n + lower(work->text + start, end - start, out + n));
}
