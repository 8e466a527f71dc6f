/* json_scan.c -- RFC 8259, read strictly, building nothing.
 *
 * The scanner keeps a cursor and, on failure, the reason; positions are counted only then. Nesting
 * recurses, and JSON_MAX_DEPTH bounds it. */
#include "base/json_scan.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

#define MAX_NUMBER 60 /* characters: cJSON copies a number to a buffer of 64 and cuts it there */

struct scanner {
    const char *at, *end;
    int depth;
    const char *reason; /* NULL while all is well */
};

static bool fail(struct scanner *scan, const char *reason)
{
    if (!scan->reason)
        scan->reason = reason;
    return false;
}

static void skip_space(struct scanner *scan)
{
    while (scan->at < scan->end && memchr(" \t\n\r", *scan->at, 4))
        scan->at++;
}

static bool at_char(const struct scanner *scan, char c)
{
    return scan->at < scan->end && *scan->at == c;
}

static bool take(struct scanner *scan, char c)
{
    if (!at_char(scan, c))
        return false;
    scan->at++;
    return true;
}

static bool scan_word(struct scanner *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return fail(scan, "a value is expected (an object, array, string, number, true, false or "
                          "null)");
    scan->at += len;
    return true;
}

/* The four digits after \u, as a number; -1 if they are not there. */
static int scan_hex4(struct scanner *scan)
{
    int value = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        char c = scan->at < scan->end ? *scan->at : '\0';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool scan_unicode_escape(struct scanner *scan)
{
    int unit = scan_hex4(scan);
    if (unit < 0)
        return fail(scan, "\\u needs four hexadecimal digits");
    if (unit == 0)
        return fail(scan, "\\u0000 is not allowed in a text");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit < 0xdc00 && take(scan, '\\') && take(scan, 'u')) {
        int low = scan_hex4(scan);
        if (low >= 0xdc00 && low <= 0xdfff)
            return true;
    }
    return fail(scan, "half of a surrogate pair stands alone");
}

static bool scan_escape(struct scanner *scan)
{
    if (take(scan, 'u'))
        return scan_unicode_escape(scan);
    if (scan->at < scan->end && *scan->at && strchr("\"\\/bfnrt", *scan->at)) {
        scan->at++;
        return true;
    }
    return fail(scan, "this is not an escape (one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u)");
}

static bool scan_string(struct scanner *scan)
{
    if (!take(scan, '"'))
        return fail(scan, "a text in double quotes is expected");
    while (scan->at < scan->end) {
        unsigned char c = (unsigned char)*scan->at;
        if (c < ' ')
            return fail(scan, "a control character must be written as an escape");
        size_t n = utf8_sequence(scan->at, (size_t)(scan->end - scan->at));
        if (!n)
            return fail(scan, "this is not UTF-8");
        scan->at += n;
        if (c == '"')
            return true;
        if (c == '\\' && !scan_escape(scan))
            return false;
    }
    return fail(scan, "the text is not closed: a double quote is expected");
}

static bool scan_digits(struct scanner *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > start || fail(scan, "a digit is expected");
}

/* The value of a number whose form is right: finite, and an integer only if a double holds it. */
static bool check_number(struct scanner *scan, const char *start, bool is_integer)
{
    char copy[MAX_NUMBER + 1];
    size_t len = (size_t)(scan->at - start);
    if (len > MAX_NUMBER)
        return fail(scan, "a number has at most 60 characters");
    memcpy(copy, start, len);
    copy[len] = '\0';
    double value = strtod(copy, NULL);
    if (!isfinite(value))
        return fail(scan, "the number is too large for a double");
    if (is_integer && fabs(value) > (double)JSON_MAX_INTEGER)
        return fail(scan, "an integer is at most 9007199254740991 (2^53-1)");
    return true;
}

static bool scan_number(struct scanner *scan)
{
    const char *start = scan->at;
    bool is_integer = true;
    take(scan, '-');
    if (take(scan, '0')) {
        if (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
            return fail(scan, "a number does not begin with 0 and another digit");
    } else if (!scan_digits(scan)) {
        return false;
    }
    if (take(scan, '.')) {
        is_integer = false;
        if (!scan_digits(scan))
            return false;
    }
    if (take(scan, 'e') || take(scan, 'E')) {
        is_integer = false;
        if (!take(scan, '+'))
            take(scan, '-');
        if (!scan_digits(scan))
            return false;
    }
    return check_number(scan, start, is_integer);
}

static bool scan_value(struct scanner *scan);

static bool scan_member(struct scanner *scan)
{
    skip_space(scan);
    if (!scan_string(scan))
        return false;
    skip_space(scan);
    if (!take(scan, ':'))
        return fail(scan, "a colon is expected after a key");
    return scan_value(scan);
}

/* Elements or members, up to `close`. */
static bool scan_container(struct scanner *scan, char close, bool (*scan_item)(struct scanner *))
{
    scan->at++;
    if (++scan->depth > JSON_MAX_DEPTH)
        return fail(scan, "the document has more than 32 levels");
    skip_space(scan);
    if (!at_char(scan, close)) {
        do {
            if (!scan_item(scan))
                return false;
            skip_space(scan);
        } while (take(scan, ','));
    }
    if (!take(scan, close))
        return fail(scan, close == '}' ? "a comma or } is expected" : "a comma or ] is expected");
    scan->depth--;
    return true;
}

static bool scan_value(struct scanner *scan)
{
    skip_space(scan);
    char c = scan->at < scan->end ? *scan->at : '\0';
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(scan);
    switch (c) {
    case '{':
        return scan_container(scan, '}', scan_member);
    case '[':
        return scan_container(scan, ']', scan_value);
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    default:
        return scan_word(scan, "null");
    }
}

/* Line and column count from 1; a column is a byte. */
static enum status say_where(const struct scanner *scan, const char *text, struct err *err)
{
    long line = 1;
    const char *start = text;
    for (const char *p = text; p < scan->at; p++) {
        if (*p == '\n') {
            line++;
            start = p + 1;
        }
    }
    return err_set(err, E_SYNTAX,
                   "The document cannot be read as JSON: line %ld, column %ld: %s%s.", line,
                   (long)(scan->at - start) + 1, scan->reason,
                   scan->at == scan->end ? ", but the document ends here" : "");
}

enum status json_scan(const char *text, size_t len, struct err *err)
{
    struct scanner scan = {.at = text, .end = text + len};
    if (scan_value(&scan)) {
        skip_space(&scan);
        if (scan.at == scan.end)
            return OK;
        fail(&scan, "text follows the document");
    }
    return say_where(&scan, text, err);
}
