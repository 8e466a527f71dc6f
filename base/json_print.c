/* json_print.c -- JSON as text: compact, valid UTF-8 whatever was put in, exact numbers.
 *
 * cJSON's own printer rounds to what is "close enough" and copies bad bytes; hence this one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

#define MAX_TEXT ((size_t)1 << 30)

static void print_escape(unsigned char c, struct buf *out)
{
    static const char short_from[] = "\"\\\b\f\n\r\t", short_to[] = "\"\\bfnrt";
    const char *found = c ? strchr(short_from, c) : NULL;
    if (found)
        buf_printf(out, "\\%c", short_to[found - short_from]);
    else
        buf_printf(out, "\\u%04x", c);
}

static void print_string(const char *text, struct buf *out)
{
    size_t left = strlen(text);
    buf_puts(out, "\"");
    while (left) {
        size_t n = 0; /* a run that stands as it is */
        while (n < left) {
            unsigned char c = (unsigned char)text[n];
            size_t sequence = utf8_sequence(text + n, left - n);
            if (!sequence || c < ' ' || c == '"' || c == '\\')
                break;
            n += sequence;
        }
        buf_append(out, text, n);
        text += n;
        left -= n;
        if (!left)
            break;
        if ((unsigned char)*text < 0x80)
            print_escape((unsigned char)*text, out);
        else
            buf_puts(out, "\xef\xbf\xbd"); /* U+FFFD for a byte that is no UTF-8 */
        text++;
        left--;
    }
    buf_puts(out, "\"");
}

/* The shortest of 15 to 17 digits that reads back as the same double. */
static void print_number(double value, struct buf *out)
{
    char text[40];
    if (value == trunc(value) && fabs(value) <= (double)JSON_MAX_INTEGER) {
        snprintf(text, sizeof(text), "%.0f", value);
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof(text), "%.*g", digits, value);
            if (strtod(text, NULL) == value)
                break;
        }
        if (strspn(text, "-0123456789") == strlen(text)) /* past 2^53 it must not look exact */
            memcpy(text + strlen(text), ".0", 3);
    }
    buf_puts(out, text);
}

static void print_container(const struct json *container, const char *brackets, struct buf *out)
{
    bool is_object = brackets[0] == '{';
    const char *between = "";
    buf_append(out, &brackets[0], 1);
    json_each(child, container)
    {
        buf_puts(out, between);
        between = ",";
        if (is_object) {
            print_string(json_key(child), out);
            buf_puts(out, ":");
        }
        json_print(child, out);
    }
    buf_append(out, &brackets[1], 1);
}

void json_print(const struct json *value, struct buf *out)
{
    switch (json_type(value)) {
    case JSON_BOOL:
        buf_puts(out, json_as_bool(value, false) ? "true" : "false");
        break;
    case JSON_NUMBER:
        print_number(json_as_number(value, 0), out);
        break;
    case JSON_STRING:
        print_string(json_as_string(value, ""), out);
        break;
    case JSON_ARRAY:
        print_container(value, "[]", out);
        break;
    case JSON_OBJECT:
        print_container(value, "{}", out);
        break;
    case JSON_NULL:
        buf_puts(out, "null");
        break;
    }
}

char *json_text(const struct json *value)
{
    struct buf out;
    buf_init(&out, MAX_TEXT);
    json_print(value, &out);
    return buf_take(&out);
}
