/* reply.c -- filling in replies, and the one shape every error has. */
#include "api/reply.h"

#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

void reply_init(struct reply *reply)
{
    *reply = (struct reply){.kind = REPLY_EMPTY, .status = 200, .fd = -1};
}

void reply_deinit(struct reply *reply)
{
    if (reply->fd >= 0)
        close(reply->fd);
    reply->fd = -1;
}

void reply_empty(struct reply *reply, int status)
{
    reply->kind = REPLY_EMPTY;
    reply->status = status;
}

void reply_text(struct reply *reply, int status, const char *content_type, const char *text,
                size_t len)
{
    reply->kind = REPLY_TEXT;
    reply->status = status;
    reply->content_type = content_type;
    reply->text = text;
    reply->bytes = len;
}

static void put_json(struct reply *reply, struct arena *arena, int status, const char *type,
                     struct json *value)
{
    char *text = json_text(value);
    json_free(value);
    size_t len = strlen(text);
    char *body = arena_alloc(arena, len + 2);
    memcpy(body, text, len);
    body[len] = '\n';
    mem_free(text);
    reply_text(reply, status, type, body, len + 1);
}

void reply_json(struct reply *reply, const struct request *request, int status, struct json *value)
{
    put_json(reply, request->arena, status, "application/json", value);
}

/* The name for a download: what is not plain is replaced, so no quoting is needed. */
static char *plain_name(struct arena *arena, const char *name)
{
    char *copy = arena_strndup(arena, name, 120);
    for (char *c = copy; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
            *c = '_';
    return copy;
}

void reply_file(struct reply *reply, const struct request *request, int fd, uint64_t bytes,
                const char *content_type, const char *download)
{
    reply->kind = REPLY_FILE;
    reply->status = 200;
    reply->fd = fd;
    reply->bytes = bytes;
    reply->content_type = content_type;
    if (download)
        reply_header(reply, request, "Content-Disposition",
                     arena_printf(request->arena, "attachment; filename=\"%s\"",
                                  plain_name(request->arena, download)));
}

void reply_stream(struct reply *reply, const char *job, int64_t after)
{
    reply->kind = REPLY_STREAM;
    reply->status = 200;
    reply->content_type = "text/event-stream";
    reply->stream_job = job;
    reply->stream_after = after;
}

/* A sentence may quote a client's bytes, or have been cut within a character. */
static char *clean_text(struct arena *arena, const char *text)
{
    size_t len = strlen(text), n = 0;
    char *out = arena_alloc(arena, len + 1);
    for (size_t i = 0; i < len;) {
        size_t run = utf8_sequence(text + i, len - i);
        bool bad = run == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f;
        memcpy(out + n, bad ? "?" : text + i, bad ? 1 : run);
        n += bad ? 1 : run;
        i += bad ? 1 : run;
    }
    return out;
}

static void add_errors(struct json *problem, struct arena *arena, const struct err *err,
                       const char *detail)
{
    struct json *errors = json_set_array(problem, "errors");
    if (!err->pointer[0])
        return;
    struct json *error = json_add_object(errors);
    json_set_string(error, "pointer", clean_text(arena, err->pointer));
    json_set_string(error, "detail", detail);
}

void reply_problem(struct reply *reply, struct arena *arena, const struct err *err,
                   const char *request_id, const char *path)
{
    reply_deinit(reply);
    size_t n_headers = reply->n_headers;
    struct pair headers[REPLY_MAX_HEADERS];
    memcpy(headers, reply->headers, sizeof(headers));
    reply_init(reply);
    memcpy(reply->headers, headers, sizeof(headers));
    reply->n_headers = n_headers;

    enum status status = err->status ? err->status : E_INTERNAL;
    const char *code = err->code[0] ? err->code : status_name(status);
    const char *detail = clean_text(arena, err->detail);
    struct json *problem = json_new_object();
    json_set_string(problem, "type", arena_printf(arena, "urn:thaw:error:%s", code));
    json_set_string(problem, "title", status_title(status));
    json_set_integer(problem, "status", status_http(status));
    json_set_string(problem, "detail", detail);
    json_set_string(problem, "instance", path);
    json_set_string(problem, "code", code);
    json_set_string(problem, "hint", err->hint[0] ? clean_text(arena, err->hint) : NULL);
    json_set_string(problem, "request_id", request_id);
    add_errors(problem, arena, err, detail);
    put_json(reply, arena, status_http(status), "application/problem+json", problem);
}

void reply_header(struct reply *reply, const struct request *request, const char *name,
                  const char *value)
{
    size_t len = 0;
    while ((unsigned char)value[len] >= 0x20 && value[len] != 0x7f)
        len++;
    if (reply->n_headers < REPLY_MAX_HEADERS)
        reply->headers[reply->n_headers++] =
            (struct pair){name, arena_strndup(request->arena, value, len)};
}
