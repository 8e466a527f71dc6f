#include "engine/text/character.h"

#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "base/utf8.h"

#define CAPITAL_I_DOT 0x130
#define COMBINING_DOT 0x307
#define CAPITAL_SIGMA 0x3a3
#define SMALL_SIGMA   0x3c3
#define FINAL_SIGMA   0x3c2

uint32_t char_read_long(const char *text, size_t *len)
{
    const uint8_t *bytes = (const uint8_t *)text;
    if (bytes[0] < 0xe0) {
        *len = 2;
        return (bytes[0] & 0x1fu) << 6 | (bytes[1] & 0x3fu);
    }
    if (bytes[0] < 0xf0) {
        *len = 3;
        return (bytes[0] & 0x0fu) << 12 | (bytes[1] & 0x3fu) << 6 | (bytes[2] & 0x3fu);
    }
    *len = 4;
    return (bytes[0] & 0x07u) << 18 | (bytes[1] & 0x3fu) << 12 | (bytes[2] & 0x3fu) << 6 |
           (bytes[3] & 0x3fu);
}

uint32_t char_before(const char *text, size_t at, size_t *len)
{
    size_t start = at - 1;
    while (start > 0 && ((uint8_t)text[start] & 0xc0) == 0x80)
        start--;
    return char_read(text + start, len);
}

size_t char_write(uint32_t character, char *out)
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)character, (utf8proc_uint8_t *)out);
}

bool char_is_long_space(uint32_t character)
{
    return character == 0x85 || character == 0xa0 || character == 0x1680 ||
           (character >= 0x2000 && character <= 0x200a) || character == 0x2028 ||
           character == 0x2029 || character == 0x202f || character == 0x205f || character == 0x3000;
}

static utf8proc_category_t category(uint32_t character)
{
    return utf8proc_category((utf8proc_int32_t)character);
}

static bool is_letter(utf8proc_category_t category)
{
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_number(utf8proc_category_t category)
{
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool char_is_word(uint32_t character)
{
    if (character < 0x80)
        return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
               (character >= 'a' && character <= 'z') || character == '_';
    return is_letter(category(character)) || is_number(category(character));
}

bool char_is_cased(uint32_t character)
{
    utf8proc_category_t is = category(character);
    return is == UTF8PROC_CATEGORY_LU || is == UTF8PROC_CATEGORY_LL || is == UTF8PROC_CATEGORY_LT ||
           character == 0xaa || character == 0xba ||
           (character >= 0x2160 && character <= 0x217f) || /* Roman numbers */
           (character >= 0x24b6 && character <= 0x24e9);   /* letters in circles */
}

bool char_is_case_ignorable(uint32_t character)
{
    static const uint32_t within_words[] = {'\'',   '.',    ':',    0xb7,   0x387,  0x55f,
                                            0x5f4,  0x2018, 0x2019, 0x2024, 0x2027, 0xfe13,
                                            0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a};
    utf8proc_category_t is = category(character);
    for (size_t i = 0; i < ARRAY_LEN(within_words); i++)
        if (within_words[i] == character)
            return true;
    return is == UTF8PROC_CATEGORY_MN || is == UTF8PROC_CATEGORY_ME || is == UTF8PROC_CATEGORY_CF ||
           is == UTF8PROC_CATEGORY_LM || is == UTF8PROC_CATEGORY_SK;
}

uint32_t char_lower(uint32_t character)
{
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)character);
}

uint32_t char_upper(uint32_t character)
{
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)character);
}

/* Blocks whose writing puts no spaces between words. */
static bool is_unspaced(uint32_t character)
{
    static const struct {
        uint32_t first, last;
    } blocks[] = {
        {0x0e00, 0x0fff},   /* Thai, Lao, Tibetan */
        {0x1000, 0x109f},   /* Myanmar */
        {0x1780, 0x17ff},   /* Khmer */
        {0x1950, 0x19df},   /* Tai Le, New Tai Lue */
        {0x1a20, 0x1aaf},   /* Tai Tham */
        {0x2e80, 0x2fdf},   /* radicals */
        {0x3005, 0x3007},   /* repeated Han, Han zero */
        {0x3041, 0x30ff},   /* Hiragana, Katakana */
        {0x3100, 0x312f},   /* Bopomofo */
        {0x31f0, 0x31ff},   /* Katakana for Ainu */
        {0x3400, 0x4dbf},   /* Han */
        {0x4e00, 0x9fff},   /* Han */
        {0xa000, 0xa4cf},   /* Yi */
        {0xf900, 0xfaff},   /* Han */
        {0xff66, 0xff9f},   /* narrow Katakana */
        {0x17000, 0x18cff}, /* Tangut, Khitan */
        {0x1b000, 0x1b2ff}, /* old Kana, Nushu */
        {0x20000, 0x3ffff}, /* Han */
    };
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (character <= blocks[i].last)
            return character >= blocks[i].first;
    return false;
}

static enum char_class class_of_category(uint32_t character)
{
    switch (category(character)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return CHAR_UPPER;
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return is_unspaced(character) ? CHAR_UNSPACED : CHAR_LOWER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return is_unspaced(character) && character >= 0x3005 ? CHAR_UNSPACED : CHAR_DIGIT;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
        return CHAR_MARK;
    case UTF8PROC_CATEGORY_SO:
        return CHAR_ICON;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CS:
        return CHAR_CONTROL;
    default:
        return CHAR_OTHER; /* U+FFFD is So; unassigned and private characters stay as they are */
    }
}

enum char_class char_class(uint32_t character)
{
    if (character >= 'a' && character <= 'z')
        return CHAR_LOWER;
    if (char_is_space(character))
        return CHAR_SPACE;
    return class_of_category(character);
}

size_t text_repair(const char *bytes, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        uint64_t eight;
        for (; i + 8 <= len; i += 8, n += 8) { /* plain ASCII, most of the time */
            memcpy(&eight, bytes + i, 8);
            if (eight & 0x8080808080808080u)
                break;
            memcpy(out + n, &eight, 8);
        }
        if (i == len)
            break;
        size_t sequence = utf8_sequence(bytes + i, len - i);
        if (sequence == 0) {
            n += char_write(CHAR_REPLACEMENT, out + n);
            i++;
            continue;
        }
        memcpy(out + n, bytes + i, sequence);
        n += sequence;
        i += sequence;
    }
    return n;
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

size_t text_lower(const char *text, size_t len, char *out)
{
    size_t n = 0, character_len;
    for (size_t i = 0; i < len; i += character_len) {
        if ((unsigned char)text[i] < 0x80) {
            out[n++] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
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
