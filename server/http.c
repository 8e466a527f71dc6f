/* http.c -- libmicrohttpd's callbacks, and who may sleep when.
 *
 * Two threads poll all connections (epoll). A connection that has to wait (for the disk, for the
 * engine) is suspended, never blocked on. The rules that keep this right:
 *   - `asleep` and `woken` of a conversation are guarded by http.lock, and both the suspending and
 *     the resuming happen under it, so a wake-up that comes early is never lost;
 *   - whoever promised to wake does so exactly once per wait, so a conversation cannot end while a
 *     wake-up for it is on its way;
 *   - libmicrohttpd aborts when it is stopped with a suspended connection: http_stop waits until
 *     `n_asleep` is 0 (streams are hub.c's, which has ended them by then).
 *
 * Only this file and sse.c know libmicrohttpd. */
#include "server/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/exchange.h"
#include "server/listen.h"
#include "server/router.h"
#include "server/sse.h"

#define POOL_THREADS 2
#define IDLE_SECONDS 60
#define CONNECTION_MEMORY                                                                          \
    (16u << 10) /* request line and headers must fit, and each stream has it */
#define READ_INCREMENT (8u << 10)
#define GRACE_SECONDS  2 /* for replies that are on their way when the server stops */

struct http {
    struct MHD_Daemon *daemon;
    struct exchange_env env;
    struct hub *hub; /* borrowed */
    int port;
    pthread_mutex_t lock;
    pthread_cond_t calmer;
    /* Under lock: */
    bool draining;
    int n_inside; /* callbacks that run now and may start something */
    int n_asleep;
    int n_replies; /* promised or on their way out */
};

enum phase { PHASE_HEADERS, PHASE_BODY, PHASE_DEFERRED, PHASE_REPLIED };

/* One request on one connection. */
struct conversation {
    struct http *http; /* borrowed */
    struct MHD_Connection *connection;
    struct exchange *exchange; /* owned */
    enum phase phase;
    int64_t began_ns;
    bool asleep, woken; /* under http.lock */
};

/* --- Sleeping -----------------------------------------------------------------------------------
 */

/* The promised wake-up; any thread. Touches nothing of the conversation after the unlock. */
static void wake(void *context)
{
    struct conversation *talk = context;
    struct http *http = talk->http;
    pthread_mutex_lock(&http->lock);
    if (talk->asleep) {
        talk->asleep = false;
        http->n_asleep--;
        MHD_resume_connection(talk->connection);
        pthread_cond_signal(&http->calmer);
    } else {
        talk->woken = true;
    }
    pthread_mutex_unlock(&http->lock);
}

/* False: the wake-up has come already, go on. */
static bool sleep_until_woken(struct conversation *talk)
{
    struct http *http = talk->http;
    pthread_mutex_lock(&http->lock);
    bool sleeps = !talk->woken;
    talk->woken = false;
    if (sleeps) {
        talk->asleep = true;
        http->n_asleep++;
        MHD_suspend_connection(talk->connection);
    }
    pthread_mutex_unlock(&http->lock);
    return sleeps;
}

/* Whether a callback may go on. While draining only replies that were promised still go out. */
static bool enter(struct conversation *talk)
{
    struct http *http = talk->http;
    pthread_mutex_lock(&http->lock);
    bool may = !http->draining || talk->phase == PHASE_DEFERRED;
    http->n_inside += may;
    pthread_mutex_unlock(&http->lock);
    return may;
}

static void leave(struct http *http)
{
    pthread_mutex_lock(&http->lock);
    http->n_inside--;
    pthread_cond_signal(&http->calmer);
    pthread_mutex_unlock(&http->lock);
}

static void count_reply(struct http *http, int change)
{
    pthread_mutex_lock(&http->lock);
    http->n_replies += change;
    pthread_cond_signal(&http->calmer);
    pthread_mutex_unlock(&http->lock);
}

/* --- Replies ------------------------------------------------------------------------------------
 */

static const struct pair standard_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
};

/* What a reply gets unless its handler chose otherwise: nothing in it may run in a browser. */
static const struct pair default_headers[] = {
    {"Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'"},
    {"Cache-Control", "private, no-cache"},
};

static bool has_header(const struct reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->n_headers; i++)
        if (strcmp(reply->headers[i].name, name) == 0)
            return true;
    return false;
}

static void add_headers(struct MHD_Response *response, const struct exchange *exchange)
{
    const struct reply *reply = &exchange->reply;
    MHD_add_response_header(response, "X-Request-Id", exchange->request.id);
    for (size_t i = 0; i < ARRAY_LEN(standard_headers); i++)
        MHD_add_response_header(response, standard_headers[i].name, standard_headers[i].value);
    for (size_t i = 0; i < ARRAY_LEN(default_headers); i++)
        if (!has_header(reply, default_headers[i].name))
            MHD_add_response_header(response, default_headers[i].name, default_headers[i].value);
    for (size_t i = 0; i < reply->n_headers; i++)
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    if (reply->etag)
        MHD_add_response_header(response, "ETag", reply->etag);
    if (reply->content_type && reply->kind != REPLY_EMPTY)
        MHD_add_response_header(response, "Content-Type", reply->content_type);
}

/* The text lives in the exchange's arena, which outlives the sending; a file's descriptor goes over
 * to the response. */
static struct MHD_Response *make_response(struct conversation *talk, struct err *err)
{
    struct reply *reply = &talk->exchange->reply;
    struct MHD_Response *response = NULL;
    union {
        const char *text;
        void *buffer; /* libmicrohttpd reads it only */
    } body = {.text = reply->kind == REPLY_TEXT ? reply->text : ""};
    switch (reply->kind) {
    case REPLY_EMPTY:
    case REPLY_TEXT:
        return MHD_create_response_from_buffer(reply->kind == REPLY_TEXT ? reply->bytes : 0,
                                               body.buffer, MHD_RESPMEM_PERSISTENT);
    case REPLY_FILE:
        response = MHD_create_response_from_fd_at_offset64(reply->bytes, reply->fd, reply->offset);
        if (response)
            reply->fd = -1;
        return response;
    case REPLY_STREAM:
        sse_response(talk->http->hub, talk->connection, reply->stream_job, reply->stream_after,
                     &response, err);
        return response;
    }
    return response;
}

static enum MHD_Result send_reply(struct conversation *talk)
{
    struct exchange *exchange = talk->exchange;
    struct err err = {0};
    struct MHD_Response *response = make_response(talk, &err);
    if (!response && err.status) {
        exchange_fail(exchange, &err);
        router_answer(exchange);
        response = make_response(talk, &err);
    }
    if (!response)
        return MHD_NO;
    if (talk->phase != PHASE_DEFERRED)
        count_reply(talk->http, 1);
    talk->phase = PHASE_REPLIED;
    add_headers(response, exchange);
    enum MHD_Result queued =
        MHD_queue_response(talk->connection, (unsigned)exchange->reply.status, response);
    MHD_destroy_response(response);
    return queued;
}

/* --- A request, callback by callback ---------------------------------------------------------- */

static enum MHD_Result keep_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    exchange_header(context, name, value ? value : "");
    return MHD_YES;
}

static enum MHD_Result on_headers(struct conversation *talk, const char *method)
{
    MHD_get_connection_values(talk->connection, MHD_HEADER_KIND, keep_header, talk->exchange);
    talk->phase = PHASE_BODY;
    if (!exchange_begin(talk->exchange, method))
        return MHD_YES;
    router_answer(talk->exchange);
    return send_reply(talk);
}

/* Whether the client hung up before its body was whole. libmicrohttpd polls on edges and takes a
 * short read for the last news, so it would miss an end that came together with the last bytes
 * until the idle timeout. */
static bool has_hung_up(const struct conversation *talk)
{
    const struct exchange *exchange = talk->exchange;
    if (exchange->received >= exchange->announced)
        return false;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(talk->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    return info && recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Takes what fits; the rest stays with libmicrohttpd until the connection is resumed. */
static enum MHD_Result on_body(struct conversation *talk, const char *bytes, size_t *len)
{
    while (*len > 0) {
        size_t taken;
        if (!exchange_body(talk->exchange, bytes, *len, &taken))
            return MHD_NO;
        bytes += taken;
        *len -= taken;
        if (*len > 0 && sleep_until_woken(talk))
            return MHD_YES;
    }
    return has_hung_up(talk) ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_promised_reply(struct conversation *talk)
{
    router_complete(talk->exchange);
    return send_reply(talk);
}

static enum MHD_Result on_body_end(struct conversation *talk)
{
    while (!exchange_finish(talk->exchange))
        if (sleep_until_woken(talk))
            return MHD_YES;
    if (router_answer(talk->exchange))
        return send_reply(talk);
    talk->phase = PHASE_DEFERRED;
    count_reply(talk->http, 1);
    return sleep_until_woken(talk) ? MHD_YES : on_promised_reply(talk);
}

static enum MHD_Result go_on(struct conversation *talk, const char *method, const char *bytes,
                             size_t *len)
{
    switch (talk->phase) {
    case PHASE_HEADERS:
        return on_headers(talk, method);
    case PHASE_BODY:
        return *len > 0 ? on_body(talk, bytes, len) : on_body_end(talk);
    case PHASE_DEFERRED:
        return on_promised_reply(talk);
    case PHASE_REPLIED:
        break;
    }
    return MHD_NO;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *len, void **request_context)
{
    struct conversation *talk = *request_context;
    (void)connection;
    (void)url;
    (void)version;
    if (!talk || !enter(talk))
        return MHD_NO;
    enum MHD_Result result = go_on(talk, method, bytes, len);
    leave(context);
    return result;
}

/* The request line is there. libmicrohttpd hands over the target as it was sent. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct conversation *talk = mem_alloc(sizeof(*talk));
    talk->http = context;
    talk->connection = connection;
    talk->began_ns = clock_monotonic_ns();
    talk->exchange = exchange_new(&talk->http->env, target, wake, talk);
    return talk;
}

static void log_request(const struct conversation *talk)
{
    const struct request *request = &talk->exchange->request;
    char path[1024], method[64];
    bool replied = talk->phase == PHASE_REPLIED;
    log_event(LOG_INFO, "http", replied ? "request" : "request was given up",
              "id=%s method=%s path=%s status=%d ms=%.1f", *request->id ? request->id : "-",
              log_quote(method, sizeof(method), request->method),
              log_quote(path, sizeof(path), request->path),
              replied ? talk->exchange->reply.status : 0,
              (double)(clock_monotonic_ns() - talk->began_ns) * 1e-6);
}

/* The reply is out, or the client is gone. A conversation that sleeps is never ended: it is woken
 * first. */
static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct conversation *talk = *request_context;
    (void)context;
    (void)connection;
    (void)code;
    if (!talk)
        return;
    *request_context = NULL;
    log_request(talk);
    if (talk->phase == PHASE_DEFERRED || talk->phase == PHASE_REPLIED)
        count_reply(talk->http, -1);
    router_abandon(talk->exchange);
    exchange_free(talk->exchange);
    mem_free(talk);
}

/* Targets are decoded by target.c, which refuses what libmicrohttpd would let through. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static void log_library(void *context, const char *format, va_list args)
{
    char text[512], quoted[1100];
    (void)context;
    vsnprintf(text, sizeof(text), format, args);
    log_event(LOG_DEBUG, "http", "libmicrohttpd says", "text=%s",
              log_quote(quoted, sizeof(quoted), text));
}

/* While draining nobody new comes in. (MHD_quiesce_daemon is meant for that, but races with its own
 * threads and then aborts.) */
static enum MHD_Result on_connect(void *context, const struct sockaddr *address, socklen_t len)
{
    struct http *http = context;
    (void)address;
    (void)len;
    pthread_mutex_lock(&http->lock);
    enum MHD_Result welcome = http->draining ? MHD_NO : MHD_YES;
    pthread_mutex_unlock(&http->lock);
    return welcome;
}

/* --- Start and end ---------------------------------------------------------------------------- */

static struct MHD_Daemon *start_daemon(struct http *http, int fd, int max_connections)
{
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_library, NULL}, /* first: it is used at once */
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, POOL_THREADS, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, max_connections, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_INCREMENT, READ_INCREMENT, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, http},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escaped, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, http},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_ITC;
    return MHD_start_daemon(flags, 0, on_connect, http, on_request, http, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

static void init_calmer(pthread_cond_t *calmer)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(calmer, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum status http_start(const struct http_options *options, struct http **out, struct err *err)
{
    int fd = options->listener;
    listen_raise_file_limit(options->max_connections);
    struct http *http = mem_alloc(sizeof(*http));
    http->port = listen_port(fd);
    http->hub = options->hub;
    http->env.app = options->app;
    http->env.spool = options->spool;
    http->env.guard = (struct guard){http->port, options->allowed_hosts, options->n_allowed_hosts};
    pthread_mutex_init(&http->lock, NULL);
    init_calmer(&http->calmer);
    http->daemon = start_daemon(http, fd, options->max_connections);
    if (http->daemon) {
        *out = http;
        return OK;
    }
    close(fd);
    mem_free(http);
    return err_set(err, E_IO, "The HTTP server cannot be started; --log-level debug says more.");
}

int http_port(const struct http *http)
{
    return http->port;
}

const char *http_library_version(void)
{
    return MHD_get_version();
}

void http_drain(struct http *http)
{
    hub_close(http->hub);
    pthread_mutex_lock(&http->lock);
    http->draining = true;
    while (http->n_inside > 0)
        pthread_cond_wait(&http->calmer, &http->lock);
    pthread_mutex_unlock(&http->lock);
}

void http_stop(struct http *http)
{
    if (!http)
        return;
    pthread_mutex_lock(&http->lock);
    while (http->n_asleep > 0)
        pthread_cond_wait(&http->calmer, &http->lock);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += GRACE_SECONDS;
    while (http->n_replies > 0 &&
           pthread_cond_timedwait(&http->calmer, &http->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&http->lock);
    MHD_stop_daemon(http->daemon);
    pthread_cond_destroy(&http->calmer);
    pthread_mutex_destroy(&http->lock);
    mem_free(http);
}
