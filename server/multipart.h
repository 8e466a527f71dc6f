/* multipart.h -- multipart/form-data (RFC 7578), streamed: what it was fed it never keeps.
 *
 * The parser holds at most one delimiter's length of undecided bytes and one part's headers. The
 * sink may take less than it is given; the parser then stops and is fed the rest again later. */
#ifndef THAW_SERVER_MULTIPART_H
#define THAW_SERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define MULTIPART_MAX_BOUNDARY 70   /* RFC 2046 */
#define MULTIPART_MAX_HEADERS  2048 /* of one part */

struct multipart_part {
    const char *name;         /* valid during `begin` only, as are the others */
    const char *file_name;    /* NULL: a text field */
    const char *content_type; /* NULL: none given */
};

/* What the parser tells, in order: begin, data..., end for each part. Each may fail. */
struct multipart_sink {
    void *context;
    enum status (*begin)(void *context, const struct multipart_part *part, struct err *err);
    /* *taken <= len bytes were used. Fewer means: wait, then feed the rest. */
    enum status (*data)(void *context, const char *bytes, size_t len, size_t *taken,
                        struct err *err);
    enum status (*end)(void *context, struct err *err);
};

struct multipart {
    struct multipart_sink sink;
    enum { MP_PREAMBLE, MP_AFTER_DELIMITER, MP_HEADERS, MP_DATA, MP_EPILOGUE } state;
    char delimiter[MULTIPART_MAX_BOUNDARY + 5]; /* "\r\n--boundary" */
    size_t delimiter_len;
    size_t matched;                      /* bytes of the delimiter that the input ends with */
    size_t owed_from, owed_to;           /* delimiter[from..to) was data after all, not yet taken */
    char headers[MULTIPART_MAX_HEADERS]; /* of the part that begins */
    size_t headers_len;
    int parts;
};

/* E_SYNTAX when `content_type` has no usable boundary. */
enum status multipart_init(struct multipart *form, const char *content_type,
                           const struct multipart_sink *sink, struct err *err);

/* *used <= len bytes were consumed; fewer only where the sink did not take all of it. */
enum status multipart_feed(struct multipart *form, const char *bytes, size_t len, size_t *used,
                           struct err *err);

/* After the last byte: E_SYNTAX when the closing delimiter never came. */
enum status multipart_finish(const struct multipart *form, struct err *err);

#endif
