/* status.h -- how every function of this project that can fail says so.
 *
 * A function that can fail returns `enum status` and takes `struct err *err` last. On success it
 * leaves *err untouched; on failure it writes one full sentence where the failure is seen: what
 * went wrong, with which thing, what was expected, what to do. The caller passes it on or handles
 * it; nobody logs and returns. The table in status.c gives each status its HTTP code and title. */
#ifndef THAW_BASE_STATUS_H
#define THAW_BASE_STATUS_H

enum status {
    OK = 0,
    E_SYNTAX,       /* 400 malformed: bad JSON, unknown key, wrong type */
    E_UNAUTHORIZED, /* 401 */
    E_FORBIDDEN,    /* 403 */
    E_NOT_FOUND,    /* 404 the thing named in the path does not exist */
    E_METHOD,       /* 405 */
    E_CONFLICT,     /* 409 the state forbids it */
    E_GONE,         /* 410 */
    E_PRECONDITION, /* 412 */
    E_TOO_LARGE,    /* 413 */
    E_MEDIA_TYPE,   /* 415 */
    E_RANGE,        /* 416 */
    E_INVALID,      /* 422 well-formed, but the content cannot be used */
    E_LOCKED,       /* 423 */
    E_TOO_MANY,     /* 429 */
    E_NO_SPACE,     /* 507 disk or memory would not suffice */
    E_IO,           /* 500 the machine failed us: read, write, fork */
    E_INTERNAL,     /* 500 a broken promise of our own */
    E_UNAVAILABLE,  /* 503 shutting down, or the engine is gone: try again */
    E_CANCELLED,    /* 503 the work was told to stop */
    N_STATUS
};

struct err {
    enum status status;
    char detail[768];  /* one full sentence */
    char pointer[160]; /* RFC 6901 pointer into the request's document, or "" */
    char code[40];     /* stable machine name such as "engine_crashed", or "" */
    char hint[256];    /* what to do, where the detail does not already say it, or "" */
};

/* What the outside calls a status. */
int status_http(enum status status);          /* 422 */
const char *status_title(enum status status); /* "Unprocessable Content" */
const char *status_name(enum status status); /* "invalid": the code of an error that has no other */
enum status status_from_name(
    const char *name); /* the reverse, for errors that cross the wire; E_INTERNAL if unknown */

/* Writes the sentence and returns `status`, so that a failure is one line:
 *     return err_set(err, E_INVALID, "The archive %s is empty: ...", name); */
enum status err_set(struct err *err, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, with the place in the document that is wrong. */
enum status err_at(struct err *err, enum status status, const char *pointer, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

/* The same from errno: appends ": " and strerror(errno); ENOSPC and EDQUOT become E_NO_SPACE. */
enum status err_errno(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts words before a sentence that is already there ("member a/b.jpg: ..."). Returns err->status.
 */
enum status err_prefix(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Names the error for machines, and adds a hint (either may be NULL: unchanged). */
void err_name(struct err *err, const char *code, const char *hint);

#endif
