/* hub.c -- the memory of recent events and the streams that read it.
 *
 * `memory` holds every event with floor < seq <= head, in order. A stream whose cursor is at or
 * above `floor` is served from it, one below from the store. */
#include "server/hub.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/render.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/events.h"

#define MEMORY_EVENTS 512
#define MEMORY_BYTES  (256u << 10)
#define READ_EVENTS   100 /* rows of one read of the store */
#define PIECE_BYTES   (16u << 10)
#define MAX_PENDING   (8u << 20)
#define HEARTBEAT_NS  (15 * (int64_t)1000000000)

struct memory {
    int64_t seq;
    char job[40]; /* "" for events of no job */
    bool done;
    char *text; /* owned: the frame */
    size_t len;
};

struct stream {
    struct hub *hub; /* borrowed */
    struct stream_port port;
    char job[40];       /* "": every event */
    int64_t cursor;     /* seq of the last event taken */
    struct buf pending; /* frames not yet written */
    size_t written;     /* of pending */
    bool greeted, last; /* last: `done` is among pending, or was */
    /* Under hub.lock: */
    bool asleep;
    int64_t spoke_ns;
    struct stream *next;
};

struct hub {
    struct store *store; /* borrowed */
    int max_streams;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t rung_or_stopping;
    /* Under lock: */
    bool rung, closing, stopping;
    struct stream *streams;
    int n_streams;
    struct memory memory[MEMORY_EVENTS]; /* a ring */
    size_t first, n;
    size_t bytes;
    int64_t floor, head;
};

/* --- Frames ----------------------------------------------------------------------------------- */

static bool put_frame(struct buf *out, const struct event_row *row)
{
    struct json *event = render_event(row);
    char *text = json_text(event);
    bool fits = buf_printf(out, "id: %lld\ndata: %s\n\n", (long long)row->seq, text);
    mem_free(text);
    json_free(event);
    return fits;
}

static bool is_done(const struct event_row *row)
{
    return strcmp(row->type, "done") == 0;
}

/* --- The hub's memory; all with the lock held ---------------------------------------------------
 */

static void forget_oldest(struct hub *hub)
{
    struct memory *oldest = &hub->memory[hub->first];
    hub->floor = oldest->seq;
    hub->bytes -= oldest->len;
    mem_free(oldest->text);
    *oldest = (struct memory){0};
    hub->first = (hub->first + 1) % MEMORY_EVENTS;
    hub->n--;
}

static void remember(struct hub *hub, const struct event_row *row)
{
    struct buf frame;
    buf_init(&frame, MAX_PENDING);
    put_frame(&frame, row);
    while (hub->n == MEMORY_EVENTS || (hub->n > 0 && hub->bytes + frame.len > MEMORY_BYTES))
        forget_oldest(hub);
    struct memory *slot = &hub->memory[(hub->first + hub->n++) % MEMORY_EVENTS];
    slot->seq = row->seq;
    slot->done = is_done(row);
    snprintf(slot->job, sizeof(slot->job), "%s", row->job ? row->job : "");
    slot->len = frame.len;
    slot->text = buf_take(&frame);
    hub->bytes += slot->len;
    hub->head = row->seq;
}

static bool wants(const struct stream *stream, const char *job)
{
    return !stream->job[0] || strcmp(stream->job, job) == 0;
}

static void wake(struct stream *stream)
{
    if (!stream->asleep)
        return;
    stream->asleep = false;
    stream->port.resume(stream->port.context);
}

static void wake_for(struct hub *hub, const struct event_list *list)
{
    for (struct stream *stream = hub->streams; stream; stream = stream->next)
        for (size_t i = 0; stream->asleep && i < list->n; i++)
            if (wants(stream, list->rows[i].job ? list->rows[i].job : ""))
                wake(stream);
}

static void wake_for_heartbeat(struct hub *hub)
{
    int64_t now = clock_monotonic_ns();
    for (struct stream *stream = hub->streams; stream; stream = stream->next)
        if (now - stream->spoke_ns >= HEARTBEAT_NS)
            wake(stream);
}

/* --- The hub's thread ---------------------------------------------------------------------------
 */

/* Reads what is new. Called and returns with the lock held; gives it back to read the store. */
static void take_news(struct hub *hub)
{
    bool more = true;
    while (more && !hub->stopping) {
        struct event_filter filter = {.after = hub->head, .limit = READ_EVENTS};
        struct event_list list = {0};
        struct arena arena;
        struct err err = {0};
        char quoted[256];
        arena_init(&arena);
        pthread_mutex_unlock(&hub->lock);
        if (events_list(hub->store, &filter, &arena, &list, &err))
            log_event(LOG_WARN, "events", "new events cannot be read", "error=%s",
                      log_quote(quoted, sizeof(quoted), err.detail));
        pthread_mutex_lock(&hub->lock);
        for (size_t i = 0; i < list.n; i++)
            remember(hub, &list.rows[i]);
        wake_for(hub, &list);
        more = list.has_more;
        arena_deinit(&arena);
    }
}

/* Sleeps until somebody rings; wakes once a second while there are streams that need a heartbeat.
 */
static void wait_for_ring(struct hub *hub)
{
    if (hub->rung || hub->stopping)
        return;
    if (!hub->streams) {
        pthread_cond_wait(&hub->rung_or_stopping, &hub->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    pthread_cond_timedwait(&hub->rung_or_stopping, &hub->lock, &until);
}

static void *hub_main(void *argument)
{
    struct hub *hub = argument;
    pthread_mutex_lock(&hub->lock);
    while (!hub->stopping) {
        wait_for_ring(hub);
        bool rung = hub->rung;
        hub->rung = false;
        if (rung)
            take_news(hub);
        wake_for_heartbeat(hub);
    }
    pthread_mutex_unlock(&hub->lock);
    return NULL;
}

static void init_lock(struct hub *hub)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->rung_or_stopping, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&hub->lock, NULL);
}

static void destroy(struct hub *hub)
{
    while (hub->n > 0)
        forget_oldest(hub);
    pthread_cond_destroy(&hub->rung_or_stopping);
    pthread_mutex_destroy(&hub->lock);
    mem_free(hub);
}

enum status hub_start(struct store *store, int max_streams, struct hub **out, struct err *err)
{
    struct hub *hub = mem_alloc(sizeof(*hub));
    hub->store = store;
    hub->max_streams = max_streams;
    init_lock(hub);
    enum status status = events_last_seq(store, &hub->head, err);
    hub->floor = hub->head;
    int code = status ? 0 : pthread_create(&hub->thread, NULL, hub_main, hub);
    if (code) {
        errno = code;
        status = err_errno(err, "The thread for event streams cannot be started");
    }
    if (status)
        destroy(hub);
    else
        *out = hub;
    return status;
}

void hub_ring(void *argument, int64_t seq)
{
    struct hub *hub = argument;
    pthread_mutex_lock(&hub->lock);
    if (seq > hub->head) {
        hub->rung = true;
        pthread_cond_signal(&hub->rung_or_stopping);
    }
    pthread_mutex_unlock(&hub->lock);
}

void hub_close(struct hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->closing = true;
    for (struct stream *stream = hub->streams; stream; stream = stream->next)
        wake(stream);
    pthread_mutex_unlock(&hub->lock);
}

void hub_stop(struct hub *hub)
{
    if (!hub)
        return;
    pthread_mutex_lock(&hub->lock);
    hub->stopping = true;
    pthread_cond_signal(&hub->rung_or_stopping);
    pthread_mutex_unlock(&hub->lock);
    pthread_join(hub->thread, NULL);
    destroy(hub);
}

/* --- Streams ------------------------------------------------------------------------------------
 */

enum status stream_open(struct hub *hub, const char *job, int64_t after,
                        const struct stream_port *port, struct stream **out, struct err *err)
{
    struct stream *stream = mem_alloc(sizeof(*stream));
    stream->hub = hub;
    stream->port = *port;
    stream->cursor = after;
    snprintf(stream->job, sizeof(stream->job), "%s", job ? job : "");
    buf_init(&stream->pending, MAX_PENDING);
    stream->spoke_ns = clock_monotonic_ns();
    pthread_mutex_lock(&hub->lock);
    bool room = hub->n_streams < hub->max_streams && !hub->closing;
    if (room) {
        stream->next = hub->streams;
        hub->streams = stream;
        hub->n_streams++;
        pthread_cond_signal(&hub->rung_or_stopping); /* from now on it keeps heartbeats */
    }
    pthread_mutex_unlock(&hub->lock);
    if (room) {
        *out = stream;
        return OK;
    }
    mem_free(stream);
    return err_set(err, E_TOO_MANY,
                   "%d event streams are open already (--max-streams): close one, or ask for the "
                   "events as a list.",
                   hub->max_streams);
}

void stream_close(struct stream *stream)
{
    struct hub *hub = stream->hub;
    pthread_mutex_lock(&hub->lock);
    struct stream **at = &hub->streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    hub->n_streams--;
    pthread_mutex_unlock(&hub->lock);
    buf_deinit(&stream->pending);
    mem_free(stream);
}

/* Fills `pending` from the store. False: the store failed, the stream ends and the client resumes
 * by its last id. `head`: what the store held at least when the read began. */
static bool refill_from_store(struct stream *stream, int64_t head)
{
    struct event_filter filter = {
        .job = stream->job[0] ? stream->job : NULL, .after = stream->cursor, .limit = READ_EVENTS};
    struct event_list list = {0};
    struct arena arena;
    arena_init(&arena);
    enum status status = events_list(stream->hub->store, &filter, &arena, &list, NULL);
    for (size_t i = 0; i < list.n; i++) {
        put_frame(&stream->pending, &list.rows[i]);
        stream->cursor = list.rows[i].seq;
        stream->last = stream->job[0] && is_done(&list.rows[i]);
    }
    if (!list.has_more && stream->cursor < head)
        stream->cursor = head;
    arena_deinit(&arena);
    return !status && !stream->pending.overflow;
}

/* With the lock held. */
static void refill_from_memory(struct stream *stream)
{
    struct hub *hub = stream->hub;
    for (size_t i = 0; i < hub->n && stream->pending.len < PIECE_BYTES && !stream->last; i++) {
        const struct memory *slot = &hub->memory[(hub->first + i) % MEMORY_EVENTS];
        if (slot->seq <= stream->cursor)
            continue;
        stream->cursor = slot->seq;
        if (!wants(stream, slot->job))
            continue;
        buf_append(&stream->pending, slot->text, slot->len);
        stream->last = stream->job[0] && slot->done;
    }
}

/* A comment at once, so that the client knows it is connected, and when nothing else was said. With
 * the lock held. */
static void keep_alive(struct stream *stream)
{
    if (!stream->greeted)
        buf_puts(&stream->pending, ": this stream is open\n\n");
    else if (clock_monotonic_ns() - stream->spoke_ns >= HEARTBEAT_NS)
        buf_puts(&stream->pending, ": still here\n\n");
}

/* Finds something to say. */
static enum stream_state refill(struct stream *stream)
{
    struct hub *hub = stream->hub;
    buf_deinit(&stream->pending); /* most streams sleep most of the time: keep no memory */
    buf_init(&stream->pending, MAX_PENDING);
    stream->written = 0;
    pthread_mutex_lock(&hub->lock);
    if (stream->last || hub->closing) {
        pthread_mutex_unlock(&hub->lock);
        return STREAM_ENDED;
    }
    while (stream->cursor < hub->floor && stream->pending.len == 0) {
        int64_t head = hub->head;
        pthread_mutex_unlock(&hub->lock);
        if (!refill_from_store(stream, head))
            return STREAM_ENDED;
        pthread_mutex_lock(&hub->lock);
    }
    if (stream->pending.len == 0)
        refill_from_memory(stream);
    if (stream->pending.len == 0)
        keep_alive(stream);
    stream->greeted = true;
    bool speaks = stream->pending.len > 0;
    if (speaks) {
        stream->spoke_ns = clock_monotonic_ns();
    } else {
        stream->asleep = true;
        stream->port.suspend(stream->port.context);
    }
    pthread_mutex_unlock(&hub->lock);
    return speaks ? STREAM_DATA : STREAM_ASLEEP;
}

enum stream_state stream_read(struct stream *stream, char *out, size_t size, size_t *n)
{
    *n = 0;
    if (stream->written == stream->pending.len) {
        enum stream_state state = refill(stream);
        if (state != STREAM_DATA)
            return state;
    }
    size_t left = stream->pending.len - stream->written;
    *n = left < size ? left : size;
    memcpy(out, stream->pending.data + stream->written, *n);
    stream->written += *n;
    return STREAM_DATA;
}
