/* character.h -- characters of UTF-8 text and what Unicode says of them (utf8proc).
 *
 * Text here is well-formed: text_repair has seen it. What is a space, a word's character and a
 * lower-case letter is as in Python's `re` and `str`, since fastai's rules are written in them. */
#ifndef THAW_ENGINE_TEXT_CHARACTER_H
#define THAW_ENGINE_TEXT_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAR_BYTES       4      /* of the longest character */
#define CHAR_REPLACEMENT 0xfffd /* stands where bytes were no UTF-8 */

/* What a tokeniser must know. */
enum char_class {
    CHAR_SPACE,    /* Python's str.isspace */
    CHAR_CONTROL,  /* Cc: no text */
    CHAR_LOWER,    /* Ll, and letters without case */
    CHAR_UPPER,    /* Lu, Lt */
    CHAR_UNSPACED, /* letters of scripts that put no spaces between words: Han, Kana, Thai, ... */
    CHAR_DIGIT,    /* Nd, Nl, No */
    CHAR_MARK,     /* Mn, Mc, Me, and the joiners: belongs to the character before it */
    CHAR_ICON,     /* So: emoji and the like */
    CHAR_OTHER     /* punctuation and the other symbols */
};

uint32_t char_read_long(const char *text, size_t *len); /* one of several bytes */

/* The character at the front of `text`, which is not empty; *len: its bytes. */
static inline uint32_t char_read(const char *text, size_t *len)
{
    *len = 1;
    return (uint8_t)text[0] < 0x80 ? (uint8_t)text[0] : char_read_long(text, len);
}

uint32_t char_before(const char *text, size_t at, size_t *len); /* the one that ends at `at` > 0 */
size_t char_write(uint32_t character, char *out); /* its bytes: `out` holds CHAR_BYTES */

enum char_class char_class(uint32_t character);
bool char_is_long_space(uint32_t character); /* beyond ASCII */
bool char_is_word(uint32_t character);       /* Python's \w: letters, numbers and _ */
bool char_is_cased(uint32_t character);      /* a letter with a case */
bool char_is_case_ignorable(uint32_t character);
uint32_t char_lower(uint32_t character); /* of one character; U+0130 is text_lower's matter */
uint32_t char_upper(uint32_t character);

static inline bool char_is_space(uint32_t character)
{
    if (character < 0x80)
        return character == ' ' || (character >= 0x09 && character <= 0x0d) ||
               (character >= 0x1c && character <= 0x1f);
    return char_is_long_space(character);
}

/* Well-formed UTF-8 out of any bytes: each byte that belongs to no character becomes U+FFFD. `out`
 * holds 3 * len bytes; returns how many were written. */
size_t text_repair(const char *bytes, size_t len, char *out);

/* Python's str.lower of well-formed text. `out` holds 2 * len bytes; returns how many were written.
 */
size_t text_lower(const char *text, size_t len, char *out);

#endif
