/* target.c -- percent-decoding with every doubtful byte refused. */
#include "server/target.h"

#include <ctype.h>
#include <string.h>

#include "base/utf8.h"

static int hex_digit(char c)
{
    if (isdigit((unsigned char)c))
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes `len` bytes of `text`; in a query "+" is a blank. NULL when an escape or the result is
 * not acceptable. `slash` says whether the result may hold a "/". */
static char *decode(struct arena *arena, const char *text, size_t len, bool query, bool slash)
{
    char *out = arena_alloc(arena, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0 || (high == 2 && low == 15 && !slash))
                return NULL;
            c = high * 16 + low;
            i += 2;
        } else if (c == '+' && query) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return NULL;
        out[n++] = (char)c;
    }
    return utf8_is_valid(out, n) ? out : NULL;
}

static enum status parse_query(const char *text, struct request *request, struct err *err)
{
    while (*text) {
        size_t len = strcspn(text, "&");
        const char *equals = memchr(text, '=', len);
        size_t name_len = equals ? (size_t)(equals - text) : len;
        size_t value_len = equals ? len - name_len - 1 : 0;
        const char *value = equals ? equals + 1 : "";
        if (request->n_query == REQUEST_MAX_QUERY)
            return err_set(err, E_SYNTAX, "The query has more than %d parameters.",
                           REQUEST_MAX_QUERY);
        struct pair *pair = &request->query[request->n_query];
        pair->name = decode(request->arena, text, name_len, true, true);
        pair->value = decode(request->arena, value, value_len, true, true);
        if (!pair->name || !pair->value)
            return err_set(err, E_SYNTAX,
                           "The query's parameter %zu is not percent-encoded UTF-8 text.",
                           request->n_query + 1);
        if (len)
            request->n_query++;
        text += len + (text[len] == '&');
    }
    return OK;
}

/* Decoding the path whole would do, were it not for encoded slashes: decode refuses those. */
static enum status parse_path(const char *target, size_t len, struct request *request,
                              struct err *err)
{
    request->path = decode(request->arena, target, len, false, false);
    if (request->path && request->path[0] == '/')
        return OK;
    request->path = "/";
    return err_set(
        err, E_SYNTAX,
        "The path is not acceptable: it starts with \"/\", is percent-encoded UTF-8, and "
        "holds no control characters and no encoded slash.");
}

enum status target_parse(const char *target, struct request *request, struct err *err)
{
    size_t len = strcspn(target, "?");
    enum status status = parse_path(target, len, request, err);
    if (!status && target[len] == '?')
        status = parse_query(target + len + 1, request, err);
    return status;
}
