/* version.c -- runs the engine once, to see that it is there and what it is. */
#include "server/version.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

#define MAX_ANSWER   4096
#define WAIT_SECONDS 5.0

static enum status start(const char *engine, pid_t *pid, int *output, struct err *err)
{
    char program[4096], verb[] = "version";
    char *const argv[] = {program, verb, NULL};
    char *const environment[] = {NULL};
    int pipe_fds[2];
    size_t len = strnlen(engine, sizeof(program) - 1);
    memcpy(program, engine, len);
    program[len] = 0;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return err_errno(err, "A pipe cannot be made");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
    int code = posix_spawn(pid, program, &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fds[1]);
    *output = pipe_fds[0];
    if (code == 0)
        return OK;
    close(pipe_fds[0]);
    errno = code;
    err_errno(err, "The engine %.200s cannot be run", engine);
    err->status = E_UNAVAILABLE;
    return E_UNAVAILABLE;
}

/* Up to the end of what it says, or of the time it has. */
static size_t read_answer(int fd, char answer[MAX_ANSWER])
{
    double until = clock_seconds() + WAIT_SECONDS;
    size_t n = 0;
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        double left = until - clock_seconds();
        if (left <= 0 || n == MAX_ANSWER || poll(&poll_fd, 1, (int)(left * 1000) + 1) <= 0)
            return n;
        ssize_t got = read(fd, answer + n, MAX_ANSWER - n);
        if (got <= 0)
            return n;
        n += (size_t)got;
    }
}

enum status version_ask_engine(const char *engine, struct arena *arena, const char **json,
                               struct err *err)
{
    char answer[MAX_ANSWER];
    struct json *parsed = NULL;
    pid_t pid = 0;
    int output = -1;
    enum status status = start(engine, &pid, &output, err);
    if (status)
        return status;
    size_t n = read_answer(output, answer);
    close(output);
    kill(pid, SIGKILL); /* it has ended, or never will */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    status = json_parse(answer, n, &parsed, err);
    if (status || json_type(parsed) != JSON_OBJECT) {
        status =
            err_set(err, E_UNAVAILABLE,
                    "The program %.200s is no thaw-engine: it does not tell its version.", engine);
    } else {
        char *text = json_text(parsed);
        *json = arena_strdup(arena, text);
        mem_free(text);
    }
    json_free(parsed);
    return status;
}
