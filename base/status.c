/* status.c -- the table of statuses, and the sentences of failures. */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int http;
    const char *name, *title;
} statuses[N_STATUS] = {
    [OK] = {200, "ok", "OK"},
    [E_SYNTAX] = {400, "syntax", "Bad Request"},
    [E_UNAUTHORIZED] = {401, "unauthorized", "Unauthorized"},
    [E_FORBIDDEN] = {403, "forbidden", "Forbidden"},
    [E_NOT_FOUND] = {404, "not_found", "Not Found"},
    [E_METHOD] = {405, "method", "Method Not Allowed"},
    [E_CONFLICT] = {409, "conflict", "Conflict"},
    [E_GONE] = {410, "gone", "Gone"},
    [E_PRECONDITION] = {412, "precondition", "Precondition Failed"},
    [E_TOO_LARGE] = {413, "too_large", "Content Too Large"},
    [E_MEDIA_TYPE] = {415, "media_type", "Unsupported Media Type"},
    [E_RANGE] = {416, "range", "Range Not Satisfiable"},
    [E_INVALID] = {422, "invalid", "Unprocessable Content"},
    [E_LOCKED] = {423, "locked", "Locked"},
    [E_TOO_MANY] = {429, "too_many", "Too Many Requests"},
    [E_NO_SPACE] = {507, "no_space", "Insufficient Storage"},
    [E_IO] = {500, "io", "Internal Server Error"},
    [E_INTERNAL] = {500, "internal", "Internal Server Error"},
    [E_UNAVAILABLE] = {503, "unavailable", "Service Unavailable"},
    [E_CANCELLED] = {503, "cancelled", "Service Unavailable"},
};

static bool is_known(enum status status)
{
    return (unsigned)status < N_STATUS;
}

int status_http(enum status status)
{
    return is_known(status) ? statuses[status].http : 500;
}

const char *status_title(enum status status)
{
    return statuses[is_known(status) ? status : E_INTERNAL].title;
}

const char *status_name(enum status status)
{
    return statuses[is_known(status) ? status : E_INTERNAL].name;
}

enum status status_from_name(const char *name)
{
    for (int i = 0; name && i < N_STATUS; i++)
        if (strcmp(statuses[i].name, name) == 0)
            return (enum status)i;
    return E_INTERNAL;
}

/* Copies text that may be too long, or overlap; what is cut ends in "...". */
static void put(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len < size) {
        memmove(out, text, len + 1);
    } else {
        memmove(out, text, size - 4);
        memcpy(out + size - 4, "...", 4);
    }
}

/* Twice the room of a detail: an argument may be the old detail itself, with words around it. */
#define SENTENCE (2 * sizeof(((struct err *)0)->detail))

/* Fills *err anew; err may be NULL where the caller does not want the sentence. */
static enum status fill(struct err *err, enum status status, const char *pointer,
                        const char *sentence)
{
    if (!err)
        return status;
    put(err->pointer, sizeof(err->pointer), pointer);
    put(err->detail, sizeof(err->detail), sentence);
    err->status = status;
    err->code[0] = err->hint[0] = '\0';
    return status;
}

enum status err_set(struct err *err, enum status status, const char *format, ...)
{
    char sentence[SENTENCE];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    return fill(err, status, "", sentence);
}

enum status err_at(struct err *err, enum status status, const char *pointer, const char *format,
                   ...)
{
    char sentence[SENTENCE];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    return fill(err, status, pointer, sentence);
}

enum status err_errno(struct err *err, const char *format, ...)
{
    int number = errno;
    enum status status = number == ENOSPC || number == EDQUOT ? E_NO_SPACE : E_IO;
    char sentence[SENTENCE], reason[128];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(sentence, sizeof(sentence) - sizeof(reason), format, args);
    va_end(args);
    size_t used = len < 0 ? 0 : strnlen(sentence, sizeof(sentence) - sizeof(reason));
    snprintf(sentence + used, sizeof(sentence) - used, ": %s",
             strerror_r(number, reason, sizeof(reason)));
    return fill(err, status, "", sentence);
}

enum status err_prefix(struct err *err, const char *format, ...)
{
    if (!err)
        return E_INTERNAL;
    char sentence[SENTENCE];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence) - sizeof(err->detail), format, args);
    va_end(args);
    size_t used = strlen(sentence);
    snprintf(sentence + used, sizeof(sentence) - used, "%s", err->detail);
    put(err->detail, sizeof(err->detail), sentence);
    return err->status;
}

void err_name(struct err *err, const char *code, const char *hint)
{
    if (err && code)
        put(err->code, sizeof(err->code), code);
    if (err && hint)
        put(err->hint, sizeof(err->hint), hint);
}
