/* multipart.c -- a state machine over bytes.
 *
 * A delimiter is "\r\n--boundary"; its only "\r" stands first, so after a mismatch a new match can
 * begin only at the byte that did not fit: no look-back is ever needed. The very first delimiter
 * may lack its "\r\n", so parsing starts as if those two had been seen. */
#include "server/multipart.h"

#include <string.h>
#include <strings.h>

#include "base/utf8.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The value of parameter `name` in a header value such as `form-data; name="a"; filename="b"`,
 * copied to `out`. Quoted strings take backslash escapes only before '"' and '\', since browsers
 * send Windows paths bare. */
static bool header_parameter(const char *value, const char *name, char *out, size_t size)
{
    const char *at = value + strcspn(value, ";");
    size_t name_len = strlen(name);
    while (*at == ';') {
        at++;
        while (is_blank(*at))
            at++;
        bool wanted = strncasecmp(at, name, name_len) == 0 && at[name_len] == '=';
        at += strcspn(at, "=;");
        if (*at != '=')
            continue;
        at++;
        bool quoted = *at == '"';
        at += quoted;
        size_t n = 0;
        while (*at && (quoted ? *at != '"' : *at != ';' && !is_blank(*at))) {
            if (quoted && *at == '\\' && (at[1] == '"' || at[1] == '\\'))
                at++;
            if (wanted && n + 1 < size)
                out[n++] = *at;
            at++;
        }
        if (wanted) {
            out[n] = 0;
            return utf8_is_valid(out, n);
        }
        at += strcspn(at, ";");
    }
    return false;
}

enum status multipart_init(struct multipart *form, const char *content_type,
                           const struct multipart_sink *sink, struct err *err)
{
    char boundary[MULTIPART_MAX_BOUNDARY + 2];
    *form = (struct multipart){.sink = *sink, .matched = 2};
    if (!header_parameter(content_type, "boundary", boundary, sizeof(boundary)) || !*boundary ||
        strlen(boundary) > MULTIPART_MAX_BOUNDARY || strpbrk(boundary, "\r\n"))
        return err_set(err, E_SYNTAX,
                       "The form's Content-Type lacks a boundary of 1 to %d characters: let the "
                       "client set the header itself (curl -F does).",
                       MULTIPART_MAX_BOUNDARY);
    memcpy(form->delimiter, "\r\n--", 4);
    memcpy(form->delimiter + 4, boundary, strlen(boundary) + 1);
    form->delimiter_len = 4 + strlen(boundary);
    return OK;
}

/* Control characters have no place in names; they end up in logs and rows. */
static bool is_clean(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* The value of header `name` among the lines of the part, in place: ends at its line's end. */
static bool part_header(const struct multipart *form, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    for (const char *line = form->headers; *line;) {
        size_t len = strcspn(line, "\r\n");
        if (len > name_len && strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *value = line + name_len + 1;
            while (is_blank(*value))
                value++;
            size_t n = (size_t)(line + len - value);
            n = n < size ? n : size - 1;
            memcpy(out, value, n);
            out[n] = 0;
            return true;
        }
        line += len;
        line += strspn(line, "\r\n");
    }
    return false;
}

static enum status begin_part(struct multipart *form, struct err *err)
{
    char disposition[MULTIPART_MAX_HEADERS], name[256], file_name[1024], type[256];
    form->parts++;
    if (!part_header(form, "Content-Disposition", disposition, sizeof(disposition)) ||
        !header_parameter(disposition, "name", name, sizeof(name)) || !is_clean(name))
        return err_set(err, E_SYNTAX,
                       "Part %d of the form has no name: expected Content-Disposition: form-data; "
                       "name=\"...\".",
                       form->parts);
    bool has_file = header_parameter(disposition, "filename", file_name, sizeof(file_name)) &&
                    is_clean(file_name);
    bool has_type = part_header(form, "Content-Type", type, sizeof(type)) && is_clean(type);
    struct multipart_part part = {name, has_file ? file_name : NULL, has_type ? type : NULL};
    return form->sink.begin(form->sink.context, &part, err);
}

/* One byte after a delimiter: "--" ends the form, a line's end begins a part, blanks are padding.
 */
static enum status after_delimiter(struct multipart *form, char c, struct err *err)
{
    char *seen = form->headers;
    if (is_blank(c))
        return OK;
    if (form->headers_len == 0 && (c == '-' || c == '\r')) {
        seen[form->headers_len++] = c;
        return OK;
    }
    if (form->headers_len == 1 && seen[0] == '-' && c == '-') {
        form->state = MP_EPILOGUE;
        return OK;
    }
    if (form->headers_len == 1 && seen[0] == '\r' && c == '\n') {
        form->state = MP_HEADERS;
        form->headers_len = 0;
        return OK;
    }
    return err_set(err, E_SYNTAX, "The form is damaged: a boundary is followed by other text.");
}

static enum status header_byte(struct multipart *form, char c, struct err *err)
{
    if (form->headers_len + 1 >= sizeof(form->headers) || c == 0)
        return err_set(err, E_SYNTAX, "The headers of part %d of the form are not acceptable.",
                       form->parts + 1);
    form->headers[form->headers_len++] = c;
    form->headers[form->headers_len] = 0;
    size_t n = form->headers_len;
    bool ended = (n == 2 && memcmp(form->headers, "\r\n", 2) == 0) ||
                 (n >= 4 && memcmp(form->headers + n - 4, "\r\n\r\n", 4) == 0);
    if (!ended)
        return OK;
    form->state = MP_DATA;
    form->matched = 0;
    return begin_part(form, err);
}

static enum status delimiter_complete(struct multipart *form, struct err *err)
{
    bool in_part = form->state == MP_DATA;
    form->matched = 0;
    form->headers_len = 0;
    form->state = MP_AFTER_DELIMITER;
    return in_part ? form->sink.end(form->sink.context, err) : OK;
}

/* Hands data to the sink; the preamble goes nowhere. */
static enum status give(struct multipart *form, const char *bytes, size_t len, size_t *taken,
                        struct err *err)
{
    *taken = len;
    if (form->state != MP_DATA || len == 0)
        return OK;
    return form->sink.data(form->sink.context, bytes, len, taken, err);
}

/* What looked like a delimiter and was none. *done: all of it was taken. */
static enum status give_owed(struct multipart *form, bool *done, struct err *err)
{
    size_t taken;
    enum status status =
        give(form, form->delimiter + form->owed_from, form->owed_to - form->owed_from, &taken, err);
    form->owed_from += taken;
    *done = form->owed_from == form->owed_to;
    return status;
}

/* Data up to the next "\r", or one step of matching the delimiter. *used 0: the sink is full. */
static enum status data_bytes(struct multipart *form, const char *bytes, size_t len, size_t *used,
                              struct err *err)
{
    *used = 0;
    if (form->matched == 0) {
        const char *cr = memchr(bytes, '\r', len);
        size_t run = cr ? (size_t)(cr - bytes) : len;
        if (run > 0)
            return give(form, bytes, run, used, err);
    }
    if (*bytes == form->delimiter[form->matched]) {
        *used = 1;
        if (++form->matched == form->delimiter_len)
            return delimiter_complete(form, err);
        return OK;
    }
    form->owed_from = 0;
    form->owed_to = form->matched;
    form->matched = 0;
    return OK;
}

static enum status step(struct multipart *form, const char *bytes, size_t len, size_t *used,
                        struct err *err)
{
    *used = 1;
    switch (form->state) {
    case MP_PREAMBLE:
    case MP_DATA:
        return data_bytes(form, bytes, len, used, err);
    case MP_AFTER_DELIMITER:
        return after_delimiter(form, *bytes, err);
    case MP_HEADERS:
        return header_byte(form, *bytes, err);
    case MP_EPILOGUE:
        *used = len;
        return OK;
    }
    return OK;
}

enum status multipart_feed(struct multipart *form, const char *bytes, size_t len, size_t *used,
                           struct err *err)
{
    *used = 0;
    while (*used < len) {
        bool done;
        enum status status = give_owed(form, &done, err);
        if (status || !done)
            return status;
        size_t n;
        status = step(form, bytes + *used, len - *used, &n, err);
        if (status)
            return status;
        *used += n;
        if (n == 0 && form->owed_from == form->owed_to)
            return OK;
    }
    return OK;
}

enum status multipart_finish(const struct multipart *form, struct err *err)
{
    if (form->state == MP_EPILOGUE)
        return OK;
    return err_set(err, E_SYNTAX,
                   "The form ends before its closing boundary: it was cut short on the way.");
}
