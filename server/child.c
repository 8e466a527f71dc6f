#include "server/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/spec/wire.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/spawn.h"

#define MAX_LOG    (1u << 20)
#define READ_PIECE (16u * 1024)
#define MAX_UNREAD (FRAME_MAX_HEADER + 64 + READ_PIECE)
#define MAX_UNSENT (2u * WIRE_MAX_IMAGE)

/* How much an engine may say. A verb that is not here cannot be started. Frames up never carry a
 * payload; `rate` frames a second are credited, at most `burst` at once. */
static const struct talk {
    const char *verb;
    double rate, burst, total;
} talks[] = {
    {"ingest", 20000, 40000, 2e8}, {"import", 100, 1000, 1e6}, {"plan", 100, 1000, 1e4},
    {"export", 100, 1000, 1e6},    {"train", 1000, 5000, 2e7}, {"predict", 20000, 40000, 1e15},
};

struct child {
    pid_t pid;
    int socket;        /* owned; -1 once the engine is gone */
    int output;        /* owned; -1 once closed */
    int log;           /* owned; -1: what the engine prints is dropped */
    uint64_t log_room; /* bytes that may still be written to it */
    struct buf in, out;
    const struct talk *talk;
    double credit, credited_at, frames;
    long long oom_kills; /* the kernel's count when the engine started; -1: unknown */
    bool deaf;           /* it closed its end for reading: nothing more is sent */
    bool refused;        /* it broke the protocol: what else it says is thrown away */
    bool closing;        /* end of file follows what is queued */
    bool killed, reaped;
    struct child_exit ended;
};

/* The kernel's own count of processes killed for want of memory; -1 where there is none. */
static long long count_oom_kills(void)
{
    char text[16384];
    int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    const char *line = strstr(text, "\noom_kill ");
    return line ? strtoll(line + strlen("\noom_kill "), NULL, 10) : -1;
}

static enum status open_log(struct child *child, const char *path, struct err *err)
{
    struct stat info;
    if (!path)
        return OK;
    child->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (child->log < 0 || fstat(child->log, &info))
        return err_errno(err, "The log %s cannot be opened", path);
    child->log_room = info.st_size < MAX_LOG ? MAX_LOG - (uint64_t)info.st_size : 0;
    return OK;
}

static const struct talk *find_talk(const char *verb)
{
    for (size_t i = 0; i < ARRAY_LEN(talks); i++)
        if (!strcmp(talks[i].verb, verb))
            return &talks[i];
    return NULL;
}

static enum status launch(struct child *child, const struct child_options *options, struct err *err)
{
    char *verb = mem_strdup(options->verb), *engine = mem_strdup(options->engine);
    char *sandbox = mem_strdup(options->sandbox ? options->sandbox : "auto");
    char wire[] = "--wire", flag[] = "--sandbox";
    char *argv[] = {engine, verb, wire, flag, sandbox, NULL};
    struct spawned spawned;
    child->oom_kills = count_oom_kills();
    enum status status = spawn_engine(argv, options->nice, &spawned, err);
    if (status == OK) {
        child->pid = spawned.pid;
        child->socket = spawned.socket;
        child->output = spawned.output;
    }
    mem_free(verb);
    mem_free(engine);
    mem_free(sandbox);
    return status;
}

enum status child_start(const struct child_options *options, const struct json *document,
                        struct child **out, struct err *err)
{
    struct child *child = mem_alloc(sizeof *child);
    *child = (struct child){.socket = -1, .output = -1, .log = -1, .reaped = true};
    buf_init(&child->in, MAX_UNREAD);
    buf_init(&child->out, MAX_UNSENT);
    child->talk = find_talk(options->verb);
    enum status status = OK;
    if (!child->talk)
        status = err_set(err, E_INTERNAL, "There is no verb %s.", options->verb);
    if (status == OK)
        status = frame_encode(&child->out, document, NULL, 0, err);
    if (status == OK)
        status = open_log(child, options->log, err);
    if (status == OK)
        status = launch(child, options, err);
    if (status) {
        child_free(child);
        return status;
    }
    child->reaped = false;
    child->credit = child->talk->burst;
    child->credited_at = clock_seconds();
    *out = child;
    return OK;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void child_free(struct child *child)
{
    if (!child)
        return;
    if (!child->reaped) {
        kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    close_fd(&child->socket);
    close_fd(&child->output);
    close_fd(&child->log);
    buf_deinit(&child->in);
    buf_deinit(&child->out);
    mem_free(child);
}

enum status child_send(struct child *child, const struct json *header, const void *payload,
                       size_t payload_len, struct err *err)
{
    if (child->deaf || child->closing)
        return OK; /* it is going: its end says the rest */
    if (child->out.len + payload_len + FRAME_MAX_HEADER + 8 > MAX_UNSENT)
        return err_set(err, E_TOO_MANY, "An engine has too much to do already: try again.");
    return frame_encode(&child->out, header, payload, payload_len, err);
}

size_t child_queued(const struct child *child)
{
    return child->out.len;
}

void child_poll(const struct child *child, struct pollfd fds[CHILD_POLL_FDS])
{
    short writing = child->out.len && !child->deaf ? POLLOUT : 0;
    short reading = child->in.len < MAX_UNREAD - READ_PIECE ? POLLIN : 0;
    fds[0] = (struct pollfd){.fd = child->socket, .events = (short)(reading | writing)};
    fds[1] = (struct pollfd){.fd = child->output, .events = POLLIN};
}

static void write_some(struct child *child)
{
    ssize_t n = send(child->socket, child->out.data, child->out.len, MSG_NOSIGNAL);
    if (n > 0)
        buf_consume(&child->out, (size_t)n);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        child->deaf = true;
    if (child->deaf)
        buf_clear(&child->out);
    if (child->closing && !child->out.len)
        shutdown(child->socket, SHUT_WR);
}

static void read_some(struct child *child)
{
    char piece[READ_PIECE];
    ssize_t n = recv(child->socket, piece, sizeof piece, 0);
    if (n > 0 && !child->refused)
        buf_append(&child->in, piece, (size_t)n);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&child->socket);
}

static void keep_output(struct child *child, const char *bytes, size_t len)
{
    static const char full[] = "\n(the log is full: what follows is dropped)\n";
    if (child->log < 0 || !child->log_room)
        return;
    if (len > child->log_room)
        len = child->log_room;
    ssize_t n = write(child->log, bytes, len);
    child->log_room -= len;
    if (n >= 0 && !child->log_room)
        n = write(child->log, full, sizeof full - 1);
    if (n < 0)
        child->log_room = 0; /* a full disk loses the log, not the work */
}

static void read_output(struct child *child)
{
    char piece[4096];
    ssize_t n = read(child->output, piece, sizeof piece);
    if (n > 0)
        keep_output(child, piece, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&child->output);
}

void child_io(struct child *child, const struct pollfd fds[CHILD_POLL_FDS])
{
    const short gone = POLLHUP | POLLERR;
    if (child->socket >= 0 && fds[0].revents & POLLOUT && child->out.len)
        write_some(child);
    /* Not on `gone` alone while the buffer is full: what was sent last is still to be read. */
    if (child->socket >= 0 && fds[0].revents & (POLLIN | gone) &&
        child->in.len < MAX_UNREAD - READ_PIECE)
        read_some(child);
    if (child->output >= 0 && fds[1].revents & (POLLIN | gone))
        read_output(child);
}

static enum status violation(struct child *child, struct err *err)
{
    child->refused = true;
    buf_clear(&child->in);
    err_prefix(err, "The engine broke the protocol: ");
    err_name(err, "engine_protocol", NULL);
    return err->status = E_INVALID;
}

/* One frame more: within its rate and its total? */
static enum status charge(struct child *child, struct err *err)
{
    double now = clock_seconds();
    child->credit += (now - child->credited_at) * child->talk->rate;
    if (child->credit > child->talk->burst)
        child->credit = child->talk->burst;
    child->credited_at = now;
    if (child->credit < 1)
        return err_set(err, E_INVALID, "it sent more than %.0f messages a second.",
                       child->talk->rate);
    child->credit -= 1;
    child->frames += 1;
    if (child->frames > child->talk->total)
        return err_set(err, E_INVALID, "it sent more than %.0f messages.", child->talk->total);
    return OK;
}

enum status child_next(struct child *child, struct frame *frame, struct err *err)
{
    enum status status = frame_next(&child->in, 0, frame, err);
    if (status)
        return violation(child, err);
    if (!frame->header)
        return OK;
    status = charge(child, err);
    if (status == OK)
        status = wire_check_up(frame->header, err);
    if (status == OK)
        return OK;
    frame_deinit(frame);
    *frame = (struct frame){0};
    return violation(child, err);
}

bool child_ended(const struct child *child)
{
    return child->socket < 0;
}

static bool was_out_of_memory(const struct child *child)
{
    if (child->killed || child->ended.signal != SIGKILL || child->oom_kills < 0)
        return false;
    return count_oom_kills() > child->oom_kills;
}

bool child_reap(struct child *child, struct child_exit *ended)
{
    int how = 0;
    if (!child->reaped) {
        pid_t pid = waitpid(child->pid, &how, WNOHANG);
        if (pid == 0 || (pid < 0 && errno == EINTR))
            return false;
        child->reaped = true;
        child->ended.killed = child->killed;
        child->ended.signal = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
        child->ended.code = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
        child->ended.out_of_memory = was_out_of_memory(child);
        while (child->output >= 0 && child->log_room) {
            size_t before = child->log_room;
            read_output(child); /* its last words */
            if (child->log_room == before)
                break;
        }
    }
    *ended = child->ended;
    return true;
}

void child_kill(struct child *child)
{
    child->killed = true;
    if (!child->reaped)
        kill(child->pid, SIGKILL);
}

void child_close(struct child *child)
{
    child->closing = true;
    if (!child->out.len && child->socket >= 0)
        shutdown(child->socket, SHUT_WR);
}

int child_pid(const struct child *child)
{
    return child->pid;
}

bool child_signal_is_crash(int signal)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGSYS};
    for (size_t i = 0; i < ARRAY_LEN(crashes); i++)
        if (crashes[i] == signal)
            return true;
    return false;
}
