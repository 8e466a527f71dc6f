/* repeats.c -- replace_rep and replace_wrep: a character, or a word, three times or more. */
#include "engine/text/rules_steps.h"

#include <stdio.h>
#include <string.h>

#include "engine/text/character.h"

#define MARK_BYTES 40 /* " xxwrep N " at its longest */

/* (\S)(\1{2,}): the number of times that the character at i stands there in a row. */
static size_t run_length(const struct work *work, size_t i, size_t character_len)
{
    size_t n = 1, at = i + character_len;
    while (at + character_len <= work->len &&
           memcmp(work->text + i, work->text + at, character_len) == 0) {
        n++;
        at += character_len;
    }
    return n;
}

void step_replace_rep(struct work *work)
{
    char *out = work_room(work, 4 * work->len + MARK_BYTES);
    size_t n = 0, len;
    bool changed = false;
    for (size_t i = 0; i < work->len;) {
        uint32_t character = char_read(work->text + i, &len);
        size_t times = 1;
        if (i + 2 * len < work->len && work->text[i] == work->text[i + len] &&
            !char_is_space(character))
            times = run_length(work, i, len);
        if (times >= 3) {
            n += (size_t)snprintf(out + n, MARK_BYTES, " xxrep %zu ", times);
            changed = true;
        } else {
            times = 1;
        }
        for (size_t k = 0; k < len; k++)
            out[n++] = work->text[i + k];
        if (times >= 3)
            out[n++] = ' ';
        i += times * len;
    }
    if (changed)
        work_take(work, n);
}

/* The end of what begins at `at` and consists of words' characters (or of white space). */
static size_t span(const struct work *work, size_t at, bool (*holds)(uint32_t character))
{
    size_t len;
    while (at < work->len && holds(char_read(work->text + at, &len)))
        at += len;
    return at;
}

static bool stands_at(const struct work *work, size_t at, const char *word, size_t len)
{
    return at + len <= work->len && memcmp(work->text + at, word, len) == 0;
}

/* (\w+)\s+((?:\1\s+)+)\1(\s|\W|$) at `at`: the word's length, how often it stands there, and where
 * the last of them ends; the character behind it, if any, is no word's. false: no match. */
static bool repeated_word(const struct work *work, size_t at, size_t *word_len, size_t *times,
                          size_t *end)
{
    const char *word = work->text + at;
    size_t word_end = span(work, at, char_is_word), len = word_end - at;
    if (len == 0) /* asked first: white space must not be read again and again */
        return false;
    size_t next = span(work, word_end, char_is_space), last_end = word_end, n = 1, character_len;
    if (next == word_end)
        return false;
    while (stands_at(work, next, word, len)) {
        size_t after = next + len;
        bool at_end = after == work->len;
        if (!at_end && char_is_word(char_read(work->text + after, &character_len)))
            break;
        n++;
        last_end = after;
        next = span(work, after, char_is_space);
        if (next == after)
            break;
    }
    *word_len = len;
    *times = n;
    *end = last_end;
    return n >= 3;
}

void step_replace_wrep(struct work *work)
{
    char *out = work_room(work, 4 * work->len + MARK_BYTES);
    size_t n = 0, len = 0, word_len, times, end;
    bool changed = false;
    for (size_t i = 0; i < work->len; i += len) {
        bool is_space = char_is_space(char_read(work->text + i, &len));
        size_t word = is_space ? i + len : i;
        if ((is_space || i == 0) && repeated_word(work, word, &word_len, &times, &end)) {
            n += (size_t)snprintf(out + n, MARK_BYTES, " xxwrep %zu ", times);
            memcpy(out + n, work->text + word, word_len);
            n += word_len;
            out[n++] = ' ';
            changed = true;
            i = end;
            if (i == work->len)
                break;
            char_read(work->text + i, &len); /* belongs to the match, so it begins no other */
        }
        memcpy(out + n, work->text + i, len);
        n += len;
    }
    if (changed)
        work_take(work, n);
}
