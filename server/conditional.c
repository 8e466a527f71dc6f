/* conditional.c -- one range at most: several, or one that is malformed, get the whole (RFC 9110
 * allows it, and a list of ranges is a way to make a server work). */
#include "server/conditional.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_read(const struct exchange *exchange)
{
    const char *method = exchange->request.method;
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Weak comparison: "W/" is ignored. `list` is *, or tags separated by commas. */
static bool list_has(const char *list, const char *etag)
{
    size_t len = strlen(etag);
    while (*list) {
        list += strspn(list, " \t,");
        if (*list == '*')
            return true;
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        if (strncmp(list, etag, len) == 0)
            return true;
        if (*list == '"') {
            const char *end = strchr(list + 1, '"');
            list = end ? end + 1 : list + strlen(list);
        } else {
            list += strcspn(list, ",");
        }
    }
    return false;
}

static bool read_position(const char **text, uint64_t *value)
{
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)**text))
        return false;
    *value = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0;
}

enum range { RANGE_NONE, RANGE_GOOD, RANGE_BAD };

/* "bytes=a-b", "bytes=a-", "bytes=-n" over a body of `size` bytes: first and last, both inclusive.
 */
static enum range parse_range(const char *text, uint64_t size, uint64_t *first, uint64_t *last)
{
    if (strncmp(text, "bytes=", 6) != 0)
        return RANGE_NONE;
    text += 6;
    bool has_first = read_position(&text, first);
    if (*text++ != '-')
        return RANGE_NONE;
    bool has_last = read_position(&text, last);
    if (*text || (!has_first && !has_last) || (has_first && has_last && *last < *first))
        return RANGE_NONE;
    if (!has_first) {
        if (*last == 0 || size == 0)
            return RANGE_BAD;
        *first = *last < size ? size - *last : 0;
        *last = size - 1;
        return RANGE_GOOD;
    }
    if (*first >= size)
        return RANGE_BAD;
    if (!has_last || *last >= size)
        *last = size - 1;
    return RANGE_GOOD;
}

static void header_number(struct exchange *exchange, const char *format_value)
{
    reply_header(&exchange->reply, &exchange->request, "Content-Range", format_value);
}

static void refuse_range(struct exchange *exchange, uint64_t size)
{
    struct err err = {0};
    err_set(&err, E_RANGE, "The range \"%.60s\" lies outside the file's %llu bytes.",
            exchange->headers.range, (unsigned long long)size);
    exchange->reply.n_headers = 0;
    exchange->reply.etag = NULL;
    reply_problem(&exchange->reply, &exchange->arena, &err, exchange->request.id,
                  exchange->request.path);
    header_number(exchange,
                  arena_printf(&exchange->arena, "bytes */%llu", (unsigned long long)size));
}

static void apply_range(struct exchange *exchange)
{
    struct reply *reply = &exchange->reply;
    const char *if_range = exchange->headers.if_range;
    uint64_t first, last, size = reply->bytes;
    reply_header(reply, &exchange->request, "Accept-Ranges", "bytes");
    if (!exchange->headers.range || (if_range && (!reply->etag || strcmp(if_range, reply->etag))))
        return;
    enum range range = parse_range(exchange->headers.range, size, &first, &last);
    if (range == RANGE_NONE)
        return;
    if (range == RANGE_BAD) {
        refuse_range(exchange, size);
        return;
    }
    reply->status = 206;
    reply->offset += first;
    reply->bytes = last - first + 1;
    header_number(exchange,
                  arena_printf(&exchange->arena, "bytes %llu-%llu/%llu", (unsigned long long)first,
                               (unsigned long long)last, (unsigned long long)size));
}

void conditional_apply(struct exchange *exchange)
{
    struct reply *reply = &exchange->reply;
    if (reply->status != 200 || !is_read(exchange))
        return;
    const char *known = exchange->headers.if_none_match;
    if (known && reply->etag && list_has(known, reply->etag)) {
        reply_deinit(reply);
        reply->n_headers = 0;
        reply_empty(reply, 304);
        return;
    }
    if (reply->kind == REPLY_FILE)
        apply_range(exchange);
}
