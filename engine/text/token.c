#include "engine/text/token.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/affix.h"
#include "engine/text/character.h"
#include "engine/text/special_words.h"

#define ZERO_WIDTH_JOINER 0x200d
#define ELLIPSIS          0x2026

struct tokeniser {
    uint32_t special_lengths[256]; /* special_word_lengths */
    size_t *suffixes; /* owned; the lengths of what came off at the end, the last first */
    size_t n_suffixes, capacity;
    void (*emit)(void *context, const char *token, size_t len); /* of the text under way */
    void *context;
};

struct tokeniser *tokeniser_new(void)
{
    struct tokeniser *tokeniser = mem_alloc(sizeof *tokeniser);
    special_word_lengths(tokeniser->special_lengths);
    return tokeniser;
}

void tokeniser_free(struct tokeniser *tokeniser)
{
    if (!tokeniser)
        return;
    mem_free(tokeniser->suffixes);
    mem_free(tokeniser);
}

static void push_suffix(struct tokeniser *tokeniser, size_t len)
{
    if (tokeniser->n_suffixes == tokeniser->capacity) {
        tokeniser->capacity = 2 * tokeniser->capacity + 16;
        tokeniser->suffixes =
            mem_realloc(tokeniser->suffixes, tokeniser->capacity * sizeof *tokeniser->suffixes);
    }
    tokeniser->suffixes[tokeniser->n_suffixes++] = len;
}

static void emit(const struct tokeniser *tokeniser, const char *token, size_t len)
{
    if (len > 0)
        tokeniser->emit(tokeniser->context, token, len);
}

/* --- a chunk ---------------------------------------------------------------------------------- */

/* The parts of a special word: its row has spaces where it is cut. */
static void emit_parts(const struct tokeniser *tokeniser, const char *word, const char *row)
{
    while (*row) {
        size_t n = strcspn(row, " ");
        emit(tokeniser, word, n);
        word += n;
        row += n + (row[n] == ' ');
    }
}

static bool emit_special(const struct tokeniser *tokeniser, const char *word, size_t len)
{
    bool may_be = len <= SPECIAL_WORD_MAX &&
                  (tokeniser->special_lengths[(unsigned char)word[0]] & (1u << len)) != 0;
    const char *row = may_be ? special_word(word, len) : NULL;
    size_t hour = affix_hour(word, len);
    if (row) {
        emit_parts(tokeniser, word, row);
    } else if (hour > 0) {
        emit(tokeniser, word, hour);
        emit(tokeniser, word + hour, len - hour);
    }
    return row || hour > 0;
}

static void emit_core(const struct tokeniser *tokeniser, const char *word, size_t len)
{
    size_t start = 0;
    if (len > 0 && !affix_is_address(word, len)) {
        for (size_t i = 0; i < len;) {
            size_t n = affix_infix(word, len, i);
            if (n > 0) {
                emit(tokeniser, word + start, i - start);
                emit(tokeniser, word + i, n);
                start = i + n;
            }
            i += n > 0 ? n : 1;
        }
    }
    emit(tokeniser, word + start, len - start);
}

static void split_chunk(struct tokeniser *tokeniser, const char *word, size_t len)
{
    const char *end = word + len; /* of the chunk */
    bool is_done = false;
    tokeniser->n_suffixes = 0;
    while (len > 0 && !is_done) {
        is_done = emit_special(tokeniser, word, len);
        size_t prefix = is_done ? 0 : affix_prefix(word, len);
        emit(tokeniser, word, prefix);
        word += prefix;
        len -= prefix;
        if (is_done || prefix > 0)
            continue;
        size_t suffix = affix_suffix(word, len);
        if (suffix == 0)
            break;
        push_suffix(tokeniser, suffix);
        len -= suffix;
    }
    if (!is_done)
        emit_core(tokeniser, word, len);
    const char *suffix = word + len;
    while (suffix < end) {
        size_t n = tokeniser->suffixes[--tokeniser->n_suffixes];
        emit(tokeniser, suffix, n);
        suffix += n;
    }
}

/* --- a text ----------------------------------------------------------------------------------- */

static bool is_skin_tone(uint32_t character)
{
    return character >= 0x1f3fb && character <= 0x1f3ff;
}

static bool is_half_flag(uint32_t character)
{
    return character >= 0x1f1e6 && character <= 0x1f1ff;
}

/* The pictograph or the letter at the front, with all that belongs to it. */
static size_t cluster_len(const char *text, size_t len)
{
    size_t n, i;
    uint32_t character = char_read(text, &i);
    bool is_icon = char_class(character) == CHAR_ICON, is_flag = is_half_flag(character);
    for (; i < len; i += n) {
        uint32_t last = character;
        character = char_read(text + i, &n);
        if (is_flag && is_half_flag(character)) {
            is_flag = false;
            continue;
        }
        bool belongs =
            char_class(character) == CHAR_MARK ||
            (is_icon && (is_skin_tone(character) ||
                         (last == ZERO_WIDTH_JOINER && char_class(character) == CHAR_ICON)));
        if (!belongs)
            break;
    }
    return i;
}

/* What is cut out wherever it stands, at the front of `text`: its bytes; 0 for what is no such. */
static size_t loner_len(const char *text, size_t len)
{
    size_t character_len, n = 0;
    if ((unsigned char)text[0] < 0x80) {
        while (n < len && text[n] == '.')
            n++;
        return n > 1 ? n : 0;
    }
    uint32_t character = char_read(text, &character_len);
    if (character == ELLIPSIS)
        return character_len;
    enum char_class class = char_class(character);
    return class == CHAR_ICON || class == CHAR_UNSPACED ? cluster_len(text, len) : 0;
}

static bool is_gap(const char *text, size_t *len)
{
    unsigned char byte = (unsigned char)text[0];
    *len = 1;
    if (byte < 0x80)
        return byte <= ' ' || byte == 0x7f;
    enum char_class class = char_class(char_read(text, len));
    return class == CHAR_SPACE || class == CHAR_CONTROL;
}

static size_t chunk_len(const char *text, size_t len)
{
    size_t i = 0, n;
    while (i < len && !is_gap(text + i, &n)) {
        bool may_be_loner = text[i] == '.' || (unsigned char)text[i] >= 0x80;
        if (may_be_loner && loner_len(text + i, len - i) > 0)
            break;
        i += n;
    }
    return i;
}

/* A line's end is a token, two or more in a row are one other. Returns the bytes of the white space
 * that begins here. */
static size_t emit_line_ends(const struct tokeniser *tokeniser, const char *text, size_t len)
{
    size_t i = 0, n, ends = 0;
    for (; i < len && is_gap(text + i, &n); i += n)
        ends += text[i] == '\n';
    emit(tokeniser, "\n\n", ends > 1 ? 2 : 1);
    return i;
}

/* Most words are nothing else. */
static size_t small_letters(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && text[i] >= 'a' && text[i] <= 'z')
        i++;
    return i;
}

void tokeniser_split(struct tokeniser *tokeniser, const char *text, size_t len,
                     void (*emit_token)(void *context, const char *token, size_t len),
                     void *context)
{
    tokeniser->emit = emit_token;
    tokeniser->context = context;
    for (size_t i = 0, n, gap; i < len; i += n) {
        if (is_gap(text + i, &n)) {
            if (text[i] == '\n')
                n = emit_line_ends(tokeniser, text + i, len - i);
            continue;
        }
        n = loner_len(text + i, len - i);
        if (n > 0) {
            emit(tokeniser, text + i, n);
            continue;
        }
        n = small_letters(text + i, len - i);
        if (i + n == len || is_gap(text + i + n, &gap)) {
            if (!emit_special(tokeniser, text + i, n))
                emit(tokeniser, text + i, n);
            continue;
        }
        n += chunk_len(text + i + n, len - i - n);
        split_chunk(tokeniser, text + i, n);
    }
}
