/* reply.h -- what a handler hands back. The server turns it into bytes on a socket.
 *
 * A handler that returns anything but OK needs no reply: the server writes problem+json from *err.
 * Text lives in the request's arena. HEAD, If-None-Match, Range and If-Range are the server's. */
#ifndef THAW_API_REPLY_H
#define THAW_API_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/request.h"
#include "base/json.h"
#include "base/status.h"

#define REPLY_MAX_HEADERS 8

enum reply_kind {
    REPLY_EMPTY,  /* status and headers only */
    REPLY_TEXT,   /* `text`, `bytes` long */
    REPLY_FILE,   /* `fd`, `bytes` long; Range works */
    REPLY_STREAM, /* server-sent events of `stream_job` (NULL: all) after `stream_after` */
};

struct reply {
    enum reply_kind kind;
    int status; /* HTTP */
    const char *content_type;
    const char *text; /* arena, or const */
    uint64_t bytes;
    int fd;           /* owned by the reply: closed by the server */
    uint64_t offset;  /* of the first byte in `fd` */
    const char *etag; /* quoted, or NULL */
    struct pair headers[REPLY_MAX_HEADERS];
    size_t n_headers;
    const char *stream_job;
    int64_t stream_after;
};

void reply_init(struct reply *reply);
void reply_deinit(struct reply *reply); /* closes fd */

/* Each sets kind, status and body. reply_json takes `value`. */
void reply_empty(struct reply *reply, int status);
void reply_json(struct reply *reply, const struct request *request, int status, struct json *value);
void reply_text(struct reply *reply, int status, const char *content_type, const char *text,
                size_t len);
/* `download` is the name for Content-Disposition, or NULL. Takes fd. */
void reply_file(struct reply *reply, const struct request *request, int fd, uint64_t bytes,
                const char *content_type, const char *download);
void reply_stream(struct reply *reply, const char *job, int64_t after);
/* problem+json (RFC 9457) of an error; replaces whatever the reply held. */
void reply_problem(struct reply *reply, struct arena *arena, const struct err *err,
                   const char *request_id, const char *path);

/* Control characters in `value` end it: CR and LF never reach a header. */
void reply_header(struct reply *reply, const struct request *request, const char *name,
                  const char *value);

#endif
