#include "engine/text/affix.h"

#include <string.h>

#include "base/mem.h"
#include "engine/text/character.h"

#define UNIT_MAX        4    /* bytes of the longest */
#define FIRST_OF_DASHES 0xe2 /* byte of – and — in UTF-8 */

/* --- what a character is ---------------------------------------------------------------------- */

static bool is_in(uint32_t character, const uint32_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == character)
            return true;
    return false;
}

static bool is_quote(uint32_t character)
{
    static const uint32_t quotes[] = {
        0xb4,   0xab,   0xbb,   0x2018, 0x2019, 0x201a, 0x201c, 0x201d, 0x201e, 0x2039,
        0x203a, 0x300a, 0x300b, 0x3008, 0x3009, 0x300c, 0x300d, 0x300e, 0x300f, 0x3010,
        0x3011, 0x3014, 0x3015, 0x3016, 0x3017, 0xff08, 0xff09, 0x27e6, 0x27e7};
    if (character < 0x80)
        return character == '\'' || character == '"' || character == '`';
    return is_in(character, quotes, ARRAY_LEN(quotes));
}

static bool is_punctuation(uint32_t character)
{
    static const uint32_t signs[] = {0xa1,   0xbf,   0xb7,   0x61f,  0x60c,  0x61b,  0x66a,
                                     0x6d4,  0x964,  0x965,  0x3001, 0x3002, 0xff01, 0xff0c,
                                     0xff1a, 0xff1b, 0xff1f, 0xff5e, 0x5be,  0x5c3,  0x589};
    if (character < 0x80)
        return character > 0 && strchr(",:;!?()[]{}<>_#*&", (int)character) != NULL;
    return is_in(character, signs, ARRAY_LEN(signs));
}

static bool is_dash(uint32_t character)
{
    return character == 0x2013 || character == 0x2014;
}

static bool is_currency(uint32_t character)
{
    return character == '$' || (character >= 0xa2 && character <= 0xa5) || character == 0xe3f ||
           (character >= 0x20a0 && character <= 0x20cf) || character == 0xfdfc;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter_class(enum char_class class)
{
    return class == CHAR_LOWER || class == CHAR_UPPER || class == CHAR_MARK;
}

/* Of the character that ends at `at`, or begins there; an accent counts as its letter. */
static enum char_class class_before(const char *word, size_t at)
{
    size_t len;
    return at == 0 ? CHAR_SPACE : char_class(char_before(word, at, &len));
}

static enum char_class class_at(const char *word, size_t len, size_t at)
{
    size_t character_len;
    return at >= len ? CHAR_SPACE : char_class(char_read(word + at, &character_len));
}

/* --- in front --------------------------------------------------------------------------------- */

size_t affix_prefix(const char *word, size_t len)
{
    size_t character_len;
    uint32_t character = char_read(word, &character_len);
    if (character == '+')
        return len > 1 && is_digit(word[1]) ? 0 : 1;
    if (character == '%' || character == '=' || character == 0xa7 || is_dash(character) ||
        is_punctuation(character) || is_quote(character) || is_currency(character))
        return character_len;
    return 0;
}

/* --- at the end ------------------------------------------------------------------------------- */

/* Where the apostrophe of a contraction is, if there is one: 't, 's, 'm, 'd, 're, 've, 'll. */
static bool find_apostrophe(const char *word, size_t len, size_t *at, size_t *after)
{
    for (size_t back = 2; back <= 3 && back < len; back++) {
        if (word[len - back] == '\'') {
            *at = len - back;
            *after = *at + 1;
            return true;
        }
        if (back + 2 < len && memcmp(word + len - back - 2, "\xe2\x80\x99", 3) == 0) {
            *at = len - back - 2;
            *after = *at + 3;
            return true;
        }
    }
    return false;
}

static size_t contraction(const char *word, size_t len)
{
    static const char *const endings[] = {"s", "m", "d", "re", "ve", "ll"};
    size_t at, after;
    char small[3] = "";
    if (!find_apostrophe(word, len, &at, &after))
        return 0;
    for (size_t i = after; i < len; i++)
        small[i - after] = (char)(word[i] | 0x20);
    if (strcmp(small, "t") == 0 && at > 1 && (word[at - 1] | 0x20) == 'n')
        return is_letter_class(class_before(word, at - 1)) ? len - at + 1 : 0;
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (strcmp(small, endings[i]) == 0) /* 's of anything: "1990's" */
            return i == 0 || is_letter_class(class_before(word, at)) ? len - at : 0;
    return 0;
}

/* A full stop that is none of an abbreviation's. */
static size_t full_stop(const char *word, size_t len)
{
    size_t before_len, at = len - 1;
    if (word[at] != '.' || at == 0)
        return 0;
    uint32_t before = char_before(word, at, &before_len);
    enum char_class class = char_class(before);
    if (class == CHAR_UPPER)
        return class_before(word, at - before_len) == CHAR_UPPER ? 1 : 0;
    return class == CHAR_LOWER || class == CHAR_MARK || class == CHAR_DIGIT || before == '%' ||
                   before == '-' || before == '+' || is_punctuation(before) || is_quote(before)
               ? 1
               : 0;
}

/* "5km", "50%", "3$", "18+": what follows the last digit, if it is that. */
static size_t unit(const char *word, size_t len)
{
    static const char units[] =
        " % + km km\302\262 km\302\263 m m\302\262 m\302\263 dm cm cm\302\262 "
        "cm\302\263 mm mm\302\262 mm\302\263 ha \302\265m nm yd in ft kg g mg "
        "\302\265g t lb oz m/s km/h mph hPa kPa Pa mbar mb MB kb KB gb GB tb "
        "TB T G M K ";
    char spaced[UNIT_MAX + 3] = " ";
    size_t n = 0, character_len;
    while (n < len && n <= UNIT_MAX && !is_digit(word[len - 1 - n]))
        n++;
    if (n == 0 || n == len || n > UNIT_MAX)
        return 0;
    if (is_currency(char_read(word + len - n, &character_len)) && character_len == n)
        return n;
    memcpy(spaced + 1, word + len - n, n);
    spaced[n + 1] = ' ';
    return memchr(spaced + 1, ' ', n) == NULL && strstr(units, spaced) ? n : 0;
}

size_t affix_suffix(const char *word, size_t len)
{
    size_t character_len;
    uint32_t character = char_before(word, len, &character_len);
    if (character_len == len)
        return 0;
    size_t n = contraction(word, len);
    if (n == 0 && (is_punctuation(character) || is_quote(character) || is_dash(character)))
        n = character_len;
    if (n == 0)
        n = full_stop(word, len);
    return n > 0 ? n : unit(word, len);
}

size_t affix_hour(const char *word, size_t len)
{
    static const char *const halves[] = {"am", "pm", "a.m.", "p.m.", "AM", "PM"};
    size_t digits = 0;
    while (digits < len && digits < 3 && is_digit(word[digits]))
        digits++;
    for (size_t i = 0; digits > 0 && digits < 3 && i < ARRAY_LEN(halves); i++)
        if (len - digits == strlen(halves[i]) &&
            memcmp(word + digits, halves[i], len - digits) == 0)
            return digits;
    return 0;
}

/* --- inside ----------------------------------------------------------------------------------- */

static size_t hyphen(const char *word, size_t len, size_t at)
{
    static const char *const hyphens[] = {
        "---", "--", "-", "~", "\xe2\x80\x94\xe2\x80\x94", "\xe2\x80\x94", "\xe2\x80\x93"};
    if (word[at] != '-' && word[at] != '~' && (unsigned char)word[at] != FIRST_OF_DASHES)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(hyphens); i++) {
        size_t n = strlen(hyphens[i]);
        if (len - at > n && memcmp(word + at, hyphens[i], n) == 0 &&
            is_letter_class(class_at(word, len, at + n)))
            return n;
    }
    return 0;
}

static bool is_sum(const char *word, size_t len, size_t at)
{
    return at > 0 && at + 1 < len && is_digit(word[at - 1]) &&
           (is_digit(word[at + 1]) || word[at + 1] == '-');
}

static bool is_sentence_end(const char *word, size_t len, size_t at, enum char_class before)
{
    return before == CHAR_LOWER && class_at(word, len, at + 1) == CHAR_UPPER;
}

size_t affix_infix(const char *word, size_t len, size_t at)
{
    static const char signs[] = ",.+-*^~:<>=/";
    bool is_sign =
        (unsigned char)word[at] == FIRST_OF_DASHES || (word[at] != '\0' && strchr(signs, word[at]));
    if (!is_sign || at == 0)
        return 0;
    enum char_class before = class_before(word, at);
    bool is_between = is_letter_class(before) && is_letter_class(class_at(word, len, at + 1));
    switch (word[at]) {
    case '.':
        return is_sentence_end(word, len, at, before) ? 1 : 0;
    case ',':
        return is_between ? 1 : 0;
    case '+':
    case '*':
    case '^':
        return is_sum(word, len, at) ? 1 : 0;
    case ':':
    case '<':
    case '>':
    case '=':
    case '/':
        return (is_letter_class(before) || is_digit(word[at - 1])) &&
                       is_letter_class(class_at(word, len, at + 1))
                   ? 1
                   : 0;
    default:
        if (word[at] == '-' && is_sum(word, len, at))
            return 1;
        return is_letter_class(before) ? hyphen(word, len, at) : 0;
    }
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool is_scheme(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((word[i] | 0x20) >= 'a' && (word[i] | 0x20) <= 'z'))
            return false;
    return len > 0;
}

static bool is_host_byte(char byte)
{
    return is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '-' ||
           byte == '.' || (unsigned char)byte >= 0x80;
}

/* host.name.org at the front: its bytes, 0 if it is none. */
static size_t host_len(const char *word, size_t len)
{
    size_t end = 0, last_dot = 0;
    for (; end < len && is_host_byte(word[end]); end++) {
        if (word[end] != '.')
            continue;
        if (end == last_dot && end == 0)
            return 0;
        if (end > 0 && word[end - 1] == '.')
            return 0;
        last_dot = end;
    }
    if (last_dot == 0 || end - last_dot < 3)
        return 0;
    for (size_t i = last_dot + 1; i < end; i++)
        if (is_digit(word[i]) || word[i] == '-')
            return 0;
    return end;
}

bool affix_is_address(const char *word, size_t len)
{
    const char *colon = memmem(word, len, "://", 3);
    if (colon && is_scheme(word, (size_t)(colon - word)))
        return (size_t)(colon - word) + 3 < len;
    if (!memchr(word, '.', len))
        return false;
    const char *at = memchr(word, '@', len);
    size_t start = at ? (size_t)(at - word) + 1 : 0;
    if (start == 1)
        return false;
    size_t end = start + host_len(word + start, len - start);
    if (end == start)
        return false;
    if (end < len && word[end] == ':')
        for (end++; end < len && is_digit(word[end]); end++)
            ;
    return end == len || word[end] == '/' || word[end] == '?' || word[end] == '#';
}
