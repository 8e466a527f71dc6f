/* exchange.c -- headers, the decision about the body, its end. body.c takes the bytes between. */
#include "server/exchange.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/routes.h"
#include "api/spec/wire.h"
#include "base/clock.h"
#include "server/body.h"
#include "server/target.h"

/* A body that nobody wants is read and dropped up to here, so that the connection can go on; past
 * it the answer is sent at once and the connection closed. */
#define DROP_SMALL (1u << 20)

#define MAX_ID 64

struct exchange *exchange_new(const struct exchange_env *env, const char *target,
                              void (*wake)(void *), void *wake_context)
{
    struct exchange *exchange = mem_alloc(sizeof(*exchange));
    exchange->env = env;
    exchange->wake = wake;
    exchange->wake_context = wake_context;
    arena_init(&exchange->arena);
    buf_init(&exchange->text, REQUEST_MAX_JSON);
    buf_init(&exchange->field, REQUEST_MAX_JSON);
    reply_init(&exchange->reply);
    struct request *request = &exchange->request;
    request->arena = &exchange->arena;
    request->resume = wake;
    request->resume_arg = wake_context;
    request->method = "";
    request->id = "";
    struct err err = {0};
    if (target_parse(target, request, &err))
        exchange_fail(exchange, &err);
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    body_free(exchange);
    buf_deinit(&exchange->text);
    buf_deinit(&exchange->field);
    json_free(exchange->json);
    reply_deinit(&exchange->reply);
    arena_deinit(&exchange->arena);
    mem_free(exchange);
}

void exchange_fail(struct exchange *exchange, const struct err *err)
{
    if (exchange->failure.status)
        return;
    exchange->failure = *err;
    exchange->dropping = true;
}

/* --- Headers ---------------------------------------------------------------------------------- */

#define OURS(field)     offsetof(struct exchange, headers.field)
#define HANDLERS(field) offsetof(struct exchange, request.field)

static const struct {
    const char *name;
    size_t offset; /* of a const char * in struct exchange */
} known_headers[] = {
    {"Host", HANDLERS(host)},
    {"Accept", HANDLERS(accept)},
    {"Last-Event-ID", HANDLERS(last_event_id)},
    {"Prefer", HANDLERS(prefer)},
    {"X-Request-Id", OURS(request_id)},
    {"Content-Type", OURS(content_type)},
    {"Content-Encoding", OURS(content_encoding)},
    {"Content-Length", OURS(content_length)},
    {"Transfer-Encoding", OURS(transfer_encoding)},
    {"Expect", OURS(expect)},
    {"Origin", OURS(origin)},
    {"Sec-Fetch-Site", OURS(sec_fetch_site)},
    {"If-None-Match", OURS(if_none_match)},
    {"If-Range", OURS(if_range)},
    {"Range", OURS(range)},
    {"Idempotency-Key", OURS(idempotency_key)},
};

static void refuse_header(struct exchange *exchange, const char *name, const char *why)
{
    struct err err = {0};
    err_set(&err, E_SYNTAX, "The header \"%.40s\" %s.", name, why);
    exchange_fail(exchange, &err);
}

/* A name with a blank in it is read as one thing here and as another by some proxy: refused, as is
 * a header that decides something and is there twice with two values. */
void exchange_header(struct exchange *exchange, const char *name, const char *value)
{
    if (strpbrk(name, " \t"))
        refuse_header(exchange, name, "has a blank in its name");
    for (size_t i = 0; i < ARRAY_LEN(known_headers); i++) {
        if (strcasecmp(name, known_headers[i].name) != 0)
            continue;
        const char *old, *copy = arena_strdup(&exchange->arena, value);
        char *at = (char *)exchange + known_headers[i].offset;
        memcpy(&old, at, sizeof(old));
        if (!old) {
            memcpy(at, &copy, sizeof(copy));
        } else if (strcmp(old, value) != 0) {
            refuse_header(exchange, known_headers[i].name, "is there twice and differs");
        }
    }
}

static bool id_is_acceptable(const char *id)
{
    size_t len = id ? strlen(id) : 0;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)id[i]) && !strchr("._-", id[i]))
            return false;
    return len >= 1 && len <= MAX_ID;
}

static const char *choose_id(struct exchange *exchange)
{
    char id[40];
    if (id_is_acceptable(exchange->headers.request_id))
        return exchange->headers.request_id;
    id_new("req_", id);
    return arena_strdup(&exchange->arena, id);
}

/* --- The decision about the body -------------------------------------------------------------- */

static bool type_is(const char *content_type, const char *type)
{
    size_t len = strlen(type);
    if (!content_type || strncasecmp(content_type, type, len) != 0)
        return false;
    char end = content_type[len];
    return end == 0 || end == ';' || end == ' ' || end == '\t';
}

/* API.md, Conventions: JSON and forms say so; every other or missing type is raw data, which a
 * route that takes no file reads as JSON. */
static enum body_kind kind_of_body(const struct exchange *exchange, unsigned accepted)
{
    const char *type = exchange->headers.content_type;
    if (type_is(type, "application/json"))
        return BODY_JSON;
    if (type_is(type, "multipart/form-data"))
        return BODY_FORM;
    return accepted & BODY_FILE ? BODY_FILE : BODY_JSON;
}

static enum status choose_body(struct exchange *exchange, struct err *err)
{
    unsigned accepted = exchange->request.route->body;
    const char *encoding = exchange->headers.content_encoding;
    if (accepted == BODY_NONE)
        return OK;
    enum body_kind kind = kind_of_body(exchange, accepted);
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return err_set(err, E_MEDIA_TYPE,
                       "The body's Content-Encoding is \"%.40s\": send it as it is.", encoding);
    if (!(accepted & kind))
        return err_set(err, E_MEDIA_TYPE,
                       "This route takes no body of type \"%.80s\": it takes%s%s%s.",
                       exchange->headers.content_type, accepted & BODY_JSON ? " JSON" : "",
                       accepted & BODY_FILE ? " the raw data" : "",
                       accepted & BODY_FORM ? " or a form (curl -F)" : "");
    exchange->request.body = kind;
    return OK;
}

uint64_t body_max_file(const struct exchange *exchange)
{
    bool image = exchange->request.route->flags & ROUTE_IMAGES;
    return image ? WIRE_MAX_IMAGE : exchange->env->app->max_upload;
}

static uint64_t max_body(const struct exchange *exchange)
{
    switch (exchange->request.body) {
    case BODY_NONE:
        return DROP_SMALL;
    case BODY_JSON:
        return REQUEST_MAX_JSON;
    case BODY_FILE:
        return body_max_file(exchange);
    case BODY_FORM:
        break;
    }
    uint64_t files = exchange->request.route->flags & ROUTE_IMAGES ? REQUEST_MAX_PARTS : 1;
    return body_max_file(exchange) * files + 2 * REQUEST_MAX_JSON;
}

/* Content-Length was checked by the HTTP library; without one the body is counted as it comes. */
static enum status check_length(struct exchange *exchange, struct err *err)
{
    const char *text = exchange->headers.content_length;
    const char *encoding = exchange->headers.transfer_encoding;
    if (encoding && (text || strcasecmp(encoding, "chunked") != 0))
        return err_set(err, E_SYNTAX,
                       "The body's length is not clear: it is given by Content-Length or by "
                       "Transfer-Encoding: chunked, and by one of them only.");
    errno = 0;
    exchange->announced = text ? strtoull(text, NULL, 10) : 0;
    if (exchange->announced > max_body(exchange) || errno == ERANGE)
        return err_set(err, E_TOO_LARGE, "The body has %.24s bytes; at most %llu are taken here%s.",
                       text, (unsigned long long)max_body(exchange),
                       exchange->request.body == BODY_FILE ? " (--max-upload)" : "");
    bool to_disk = exchange->request.body == BODY_FILE || exchange->request.body == BODY_FORM;
    return to_disk ? spool_check_space(exchange->env->spool, exchange->announced, err) : OK;
}

static enum status begin(struct exchange *exchange, struct err *err)
{
    struct request *request = &exchange->request;
    const struct exchange_headers *headers = &exchange->headers;
    enum status status = guard_check(&exchange->env->guard, request->host, headers->origin,
                                     headers->sec_fetch_site, err);
    if (!status)
        status = route_find(request->method, request->path, request->arena, &request->route,
                            request->params, &request->n_params, exchange->allow, err);
    if (!status)
        status = route_check_query(request->route, request->query, request->n_query, err);
    if (!status)
        status = choose_body(exchange, err);
    if (!status)
        status = check_length(exchange, err);
    if (!status)
        status = body_begin(exchange, err);
    return status;
}

bool exchange_begin(struct exchange *exchange, const char *method)
{
    struct request *request = &exchange->request;
    struct err err = {0};
    request->id = choose_id(exchange);
    request->method = arena_strdup(&exchange->arena, method);
    if (!exchange->failure.status && begin(exchange, &err))
        exchange_fail(exchange, &err);
    if (!exchange->failure.status)
        return false;
    /* A small body is read and dropped: the client sees its answer, not a broken pipe. */
    bool small = exchange->announced <= DROP_SMALL && !exchange->headers.transfer_encoding;
    return !small || exchange->headers.expect;
}

/* --- The end of the body ---------------------------------------------------------------------- */

static enum status parse_json(struct exchange *exchange, struct err *err)
{
    if (exchange->text.len == 0)
        return err_set(err, E_SYNTAX, "The body is empty: this route takes a JSON object.");
    enum status status = json_parse(exchange->text.data, exchange->text.len, &exchange->json, err);
    exchange->request.json = exchange->json;
    return status;
}

bool exchange_finish(struct exchange *exchange)
{
    struct err err = {0};
    bool finished = true;
    if (exchange->failure.status)
        return true;
    enum status status = body_finish(exchange, &finished, &err);
    if (!status && finished && exchange->request.body == BODY_JSON)
        status = parse_json(exchange, &err);
    if (status)
        exchange_fail(exchange, &err);
    return finished || status;
}
