/* exchange.h -- one request on its way in, from its first line to the handler's door.
 *
 * It knows nothing of sockets: http.c feeds it headers and body bytes, tests do the same by hand.
 * What a body may be is decided when the headers are known, before a byte of it is read; an error
 * found there or later is kept in `failure`, the rest of the body is dropped unread, and the
 * router answers with it.
 *
 * Order of calls: exchange_new, exchange_header..., exchange_begin, exchange_body...,
 * exchange_finish, then router_answer, then exchange_free. One thread at a time. */
#ifndef THAW_SERVER_EXCHANGE_H
#define THAW_SERVER_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/app.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/buf.h"
#include "base/mem.h"
#include "server/guard.h"
#include "server/multipart.h"
#include "server/upload.h"

/* What every exchange needs; nothing here changes while requests are served. */
struct exchange_env {
    struct app *app;
    struct guard guard;
    struct spool *spool;
};

/* The request's headers that the server itself looks at; NULL where absent. */
struct exchange_headers {
    const char *request_id, *content_type, *content_encoding, *content_length, *transfer_encoding;
    const char *expect, *origin, *sec_fetch_site, *if_none_match, *if_range, *range;
    const char *idempotency_key;
};

struct exchange {
    const struct exchange_env *env; /* borrowed */
    struct arena arena;
    struct request request; /* what the handler sees */
    struct reply reply;
    struct exchange_headers headers;
    struct err failure; /* status OK: none so far */
    char allow[64];     /* for a 405 */

    /* The body, while it comes in. */
    bool dropping;      /* the rest is not wanted */
    uint64_t announced; /* Content-Length; 0: none or unknown */
    uint64_t received, dropped;
    struct buf text;    /* a JSON body */
    size_t field_bytes; /* of all text parts */
    struct multipart form;
    struct buf field;                             /* the text part that comes in */
    struct pair part;                             /* its name */
    struct upload_file *files[REQUEST_MAX_PARTS]; /* owned; parallel to request.uploads */
    struct upload *uploads;                       /* arena */
    struct pair *fields;                          /* arena */
    struct json *json;                            /* owned; request.json borrows it */
    bool in_file;                                 /* the form's present part is a file */

    /* Idempotency-Key (router.c). */
    const char *key; /* claimed, its reply not yet stored; else NULL */

    void (*wake)(void *context); /* after a wait; any thread */
    void *wake_context;
};

/* `target` is the raw request target. A target that cannot be parsed is a failure, not an error
 * here: the answer comes when the headers are there. */
struct exchange *exchange_new(const struct exchange_env *env, const char *target,
                              void (*wake)(void *), void *wake_context);
/* Frees all; removes the uploads that no handler took. */
void exchange_free(struct exchange *exchange);

/* Keeps the header if it means something here; text is copied. */
void exchange_header(struct exchange *exchange, const char *name, const char *value);

/* All headers are there: checks them, finds the route, prepares for the body. True when the answer
 * should go out now, without reading the body. */
bool exchange_begin(struct exchange *exchange, const char *method);

/* *taken <= len bytes were used; fewer: wait for `wake`, then give the rest. False: give up on the
 * connection, the client sends without end. */
bool exchange_body(struct exchange *exchange, const char *bytes, size_t len, size_t *taken);

/* The body is over. False: wait for `wake`, then ask again. True: ready for router_answer. */
bool exchange_finish(struct exchange *exchange);

/* Records the first failure. */
void exchange_fail(struct exchange *exchange, const struct err *err);

#endif
