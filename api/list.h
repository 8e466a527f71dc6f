/* list.h -- what all lists and all documents of the API have in common. */
#ifndef THAW_API_LIST_H
#define THAW_API_LIST_H

#include "api/reply.h"
#include "api/request.h"
#include "store/db.h"

#define LIST_LIMIT_DEFAULT 20
#define LIST_LIMIT_MAX     100

/* ?after=ID&limit=N */
enum status list_page(const struct request *request, struct page *page, struct err *err);

/* A name that people gave to something: 1 to 200 bytes without control characters. `what` for the
 * sentence. */
enum status check_label(const char *label, const char *what, struct err *err);

/* Replies `value` with an ETag over its text, so that an unchanged document is a 304. Takes value.
 */
void reply_document(struct reply *reply, const struct request *request, struct json *value);

/* An ETag over `text`. */
const char *etag_of(struct arena *arena, const char *text, size_t len);

#endif
