/* list.c -- pages, names and ETags. */
#include "api/list.h"

#include <string.h>

enum status list_page(const struct request *request, struct page *page, struct err *err)
{
    int64_t limit;
    enum status status =
        request_integer(request, "limit", 1, LIST_LIMIT_MAX, LIST_LIMIT_DEFAULT, &limit, err);
    *page = (struct page){.after = request_value(request, "after"), .limit = (int)limit};
    return status;
}

enum status check_label(const char *label, const char *what, struct err *err)
{
    size_t len = strlen(label);
    bool clean = len >= 1 && len <= 200;
    for (size_t i = 0; i < len; i++)
        clean = clean && (unsigned char)label[i] >= 0x20 && label[i] != 0x7f;
    if (clean)
        return OK;
    return err_set(err, E_INVALID,
                   "The %s has to be 1 to 200 bytes long, without control characters.", what);
}

const char *etag_of(struct arena *arena, const char *text, size_t len)
{
    uint8_t digest[SHA256_BYTES];
    char hex[33];
    sha256_bytes(text, len, digest);
    digest_hex(digest, 16, hex);
    return arena_printf(arena, "\"%s\"", hex);
}

void reply_document(struct reply *reply, const struct request *request, struct json *value)
{
    reply_json(reply, request, 200, value);
    reply->etag = etag_of(request->arena, reply->text, reply->bytes);
}
