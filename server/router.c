/* router.c -- calls handlers, and keeps promises about repeated requests. */
#include "server/router.h"

#include <string.h>

#include "api/routes.h"
#include "base/digest.h"
#include "server/conditional.h"
#include "store/keys.h"

static void answer_problem(struct exchange *exchange, const struct err *err)
{
    struct reply *reply = &exchange->reply;
    reply->n_headers = 0;
    reply->etag = NULL;
    reply_problem(reply, &exchange->arena, err, exchange->request.id, exchange->request.path);
    if (err->status == E_METHOD && exchange->allow[0])
        reply_header(reply, &exchange->request, "Allow", exchange->allow);
    if (err->status == E_TOO_MANY || err->status == E_UNAVAILABLE)
        reply_header(reply, &exchange->request, "Retry-After", "5");
}

/* --- Idempotency-Key -------------------------------------------------------------------------- */

/* With its closing NUL, so that "ab"+"c" and "a"+"bc" differ. NULL is told from "". */
static void hash_text(struct sha256 *digest, const char *text)
{
    if (text)
        sha256_update(digest, text, strlen(text) + 1);
    else
        sha256_update(digest, "\1", 1);
}

static void hash_pairs(struct sha256 *digest, const char *what, const struct pair *pairs, size_t n)
{
    hash_text(digest, what);
    for (size_t i = 0; i < n; i++) {
        hash_text(digest, pairs[i].name);
        hash_text(digest, pairs[i].value);
    }
}

/* SHA-256 over method, path, query and body (of files: their own digests). */
static void fingerprint(const struct exchange *exchange, char hex[SHA256_HEX])
{
    const struct request *request = &exchange->request;
    struct sha256 *digest = sha256_new();
    uint8_t bytes[SHA256_BYTES];
    hash_text(digest, request->method);
    hash_text(digest, request->path);
    hash_pairs(digest, "query", request->query, request->n_query);
    hash_pairs(digest, "fields", request->fields, request->n_fields);
    sha256_update(digest, exchange->text.data, exchange->text.len);
    for (size_t i = 0; i < request->n_uploads; i++) {
        hash_text(digest, request->uploads[i].part);
        hash_text(digest, request->uploads[i].sha256);
    }
    sha256_finish(digest, bytes);
    sha256_free(digest);
    digest_hex(bytes, sizeof(bytes), hex);
}

/* The key without the quotes that its draft standard asks for; NULL when it is not acceptable. */
static const char *plain_key(struct exchange *exchange)
{
    const char *key = exchange->headers.idempotency_key;
    size_t len = strlen(key);
    if (len >= 2 && key[0] == '"' && key[len - 1] == '"')
        key = arena_strndup(&exchange->arena, key + 1, len - 2);
    return *key && strlen(key) <= KEY_MAX_TEXT ? key : NULL;
}

static void replay(struct exchange *exchange, const struct key_reply *kept)
{
    struct reply *reply = &exchange->reply;
    reply_text(reply, (int)kept->http_status, kept->content_type, kept->body, strlen(kept->body));
    if (kept->location)
        reply_header(reply, &exchange->request, "Location", kept->location);
    reply_header(reply, &exchange->request, "Idempotency-Replayed", "true");
}

/* *replayed: the reply is there already. */
static enum status claim_key(struct exchange *exchange, bool *replayed, struct err *err)
{
    char hex[SHA256_HEX];
    struct key_reply kept;
    *replayed = false;
    if (!exchange->headers.idempotency_key || !(exchange->request.route->flags & ROUTE_CREATES))
        return OK;
    const char *key = plain_key(exchange);
    if (!key)
        return err_set(err, E_SYNTAX, "The Idempotency-Key has to be 1 to %d characters long.",
                       KEY_MAX_TEXT);
    fingerprint(exchange, hex);
    enum status status =
        key_begin(exchange->env->app->store, key, hex, &exchange->arena, replayed, &kept, err);
    if (status)
        return status;
    if (*replayed)
        replay(exchange, &kept);
    else
        exchange->key = key;
    return OK;
}

static const char *reply_location(const struct reply *reply)
{
    for (size_t i = 0; i < reply->n_headers; i++)
        if (strcmp(reply->headers[i].name, "Location") == 0)
            return reply->headers[i].value;
    return NULL;
}

/* What passes by itself (busy, disk full, shutting down) is not worth replaying. */
static bool is_worth_keeping(const struct reply *reply)
{
    return reply->kind == REPLY_TEXT && reply->status < 500 && reply->status != 429 &&
           reply->bytes < KEY_MAX_BODY;
}

static void settle_key(struct exchange *exchange)
{
    const struct reply *reply = &exchange->reply;
    if (!exchange->key)
        return;
    struct key_reply kept = {reply->status, reply_location(reply), reply->content_type,
                             reply->text};
    struct err err = {0};
    if (!is_worth_keeping(reply) ||
        key_finish(exchange->env->app->store, exchange->key, &kept, &err))
        router_abandon(exchange);
    exchange->key = NULL;
}

void router_abandon(struct exchange *exchange)
{
    struct err err = {0};
    if (exchange->key)
        key_abandon(exchange->env->app->store, exchange->key, &err);
    exchange->key = NULL;
}

/* --- Answering -------------------------------------------------------------------------------- */

/* Text parts of a form are query parameters by another way. */
static enum status call_handler(struct exchange *exchange, bool *deferred, struct err *err)
{
    struct request *request = &exchange->request;
    const struct route *route = request->route;
    bool replayed = false;
    enum status status = route_check_query(route, request->fields, request->n_fields, err);
    if (!status)
        status = claim_key(exchange, &replayed, err);
    if (status || replayed)
        return status;
    status = route->handler(exchange->env->app, request, &exchange->reply, err);
    *deferred = !status && (route->flags & ROUTE_DEFERS);
    return status;
}

bool router_answer(struct exchange *exchange)
{
    struct err err = exchange->failure;
    bool deferred = false;
    if (err.status || call_handler(exchange, &deferred, &err))
        answer_problem(exchange, &err);
    if (!deferred) /* else the reply is another thread's to write */
        router_complete(exchange);
    return !deferred;
}

/* A stream is answered by its headers alone: it has no end that could be measured. */
static void shorten_head(const struct exchange *exchange, struct reply *reply)
{
    if (reply->kind == REPLY_STREAM && strcmp(exchange->request.method, "HEAD") == 0)
        reply_text(reply, 200, reply->content_type, "", 0);
}

void router_complete(struct exchange *exchange)
{
    settle_key(exchange);
    shorten_head(exchange, &exchange->reply);
    conditional_apply(exchange);
}
