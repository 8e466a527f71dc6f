/* request.h -- what a handler is given: one HTTP request, already parsed, bounded and checked.
 *
 * Everything here lives in the request's arena and stays valid until its reply was sent. Handlers
 * free nothing. */
#ifndef THAW_API_REQUEST_H
#define THAW_API_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"

#define REQUEST_MAX_JSON   (1u << 20) /* a JSON body, and all text parts of a form together */
#define REQUEST_MAX_PARAMS 4          /* {names} in a route's pattern */
#define REQUEST_MAX_PARTS  64         /* of one form */
#define REQUEST_MAX_QUERY  32

struct pair {
    const char *name, *value;
};

/* One body, or one file of a form, already on disk and hashed. The file is removed when the request
 * ends unless the handler renamed it away or says `taken`. */
struct upload {
    const char *part;         /* the form part's name; "" for a raw body */
    const char *file_name;    /* as the client calls it, or NULL: data, never a path */
    const char *content_type; /* as the client calls it, or NULL */
    const char *path;         /* absolute, in DATA/uploads */
    uint64_t bytes;
    char sha256[SHA256_HEX];
    bool taken; /* the handler's to set: somebody owns the file now, under its present name */
};

/* What a request can carry, and (as a set) what a route accepts. */
enum body_kind {
    BODY_NONE = 0,
    BODY_JSON = 1, /* in memory, parsed */
    BODY_FILE = 2, /* a raw body, streamed to one upload */
    BODY_FORM = 4, /* multipart/form-data: files to uploads, text parts to `fields` */
};

struct route;
struct app;

struct request {
    const char *id;     /* X-Request-Id: the client's where it is well-formed, else ours */
    const char *method; /* as sent; a HEAD goes to the handler of its GET */
    const char *path;   /* decoded, without the query */
    const struct route *route;
    struct pair params[REQUEST_MAX_PARAMS];
    size_t n_params;
    struct pair query[REQUEST_MAX_QUERY]; /* decoded, names checked against the route's */
    size_t n_query;

    enum body_kind body;
    const struct json *json; /* BODY_JSON: the document */
    struct upload *uploads;
    size_t n_uploads;
    const struct pair *fields; /* BODY_FORM: parts without a file name */
    size_t n_fields;

    /* Headers that mean something to a handler, or NULL. */
    const char *host, *accept, *last_event_id, *prefer;

    struct arena *arena; /* owned by the server; freed after the reply */
    /* On a route that is ROUTE_DEFERS, a handler that returned OK has seen to it that
     * `resume(resume_arg)` is called exactly once, on any thread, when the reply is complete. Until
     * then request and reply stay valid. It may come before the handler returns. */
    void (*resume)(void *resume_arg);
    void *resume_arg;
};

/* The value of {name} in the path; never NULL for a name in the route's pattern. */
const char *request_param(const struct request *request, const char *name);
/* The value of ?name=, or of the form's text part of that name; NULL when absent. */
const char *request_value(const struct request *request, const char *name);
const char *request_field(const struct request *request, const char *name); /* form only */

/* ?name= as an integer in low..high; absent gives the fallback; else E_INVALID with the range. */
enum status request_integer(const struct request *request, const char *name, int64_t low,
                            int64_t high, int64_t fallback, int64_t *value, struct err *err);

/* The parameter or field as true or false, `fallback` when absent; E_SYNTAX for any other text. */
enum status request_bool(const struct request *request, const char *name, bool fallback,
                         bool *value, struct err *err);

/* Whether the Accept header prefers `type` ("text/csv") to JSON: named there with q > 0. */
bool request_accepts(const struct request *request, const char *type);

#endif
