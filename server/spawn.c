#include "server/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/spec/wire.h"
#include "base/mem.h"

#define MAX_ENVIRONMENT 128
#define LIFTED_FD       16 /* above every number that has a meaning in the new process */

/* Variables that an engine may see; a name that ends in '_' stands for all that begin so. */
static const char *const environment_names[] = {
    "PATH=",         "LANG=",         "LC_",
    "TZ=",           "TMPDIR=",       "LD_LIBRARY_PATH=",
    "OMP_",          "GOMP_",         "DNNL_",
    "ONEDNN_",       "MALLOC_",       "ASAN_OPTIONS=",
    "LSAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS=",
    "THAW_ENGINE_",
};

static void keep_environment(char *kept[MAX_ENVIRONMENT + 1])
{
    size_t n = 0;
    for (char **variable = environ; *variable && n < MAX_ENVIRONMENT; variable++)
        for (size_t i = 0; i < ARRAY_LEN(environment_names); i++)
            if (!strncmp(*variable, environment_names[i], strlen(environment_names[i]))) {
                kept[n++] = *variable;
                break;
            }
    kept[n] = NULL;
}

/* --- In the child, between fork and exec: only what is safe in a copy of a threaded process. ---
 */

static void say_and_leave(const char *what)
{
    ssize_t n = write(2, what, strlen(what));
    (void)n;
    _exit(127);
}

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* fails for KILL and STOP, as it should */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void place_descriptors(int socket, int output)
{
    int null = open("/dev/null", O_RDONLY);
    int high_socket = fcntl(socket, F_DUPFD, LIFTED_FD);
    int high_output = fcntl(output, F_DUPFD, LIFTED_FD);
    int high_null = fcntl(null, F_DUPFD, LIFTED_FD);
    if (dup2(high_null, 0) < 0 || dup2(high_output, 1) < 0 || dup2(high_output, 2) < 0 ||
        dup2(high_socket, WIRE_FD) < 0)
        say_and_leave("thawd: the engine's descriptors cannot be placed\n");
    if (close_range(WIRE_FD + 1, ~0U, 0))
        say_and_leave("thawd: descriptors cannot be closed\n");
}

static void lower_standing(int niceness)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    int now = getpriority(PRIO_PROCESS, 0);
    setpriority(PRIO_PROCESS, 0, now + niceness);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (fd >= 0) {
        ssize_t n = write(fd, "500", 3);
        (void)n;
        close(fd);
    }
}

__attribute__((noreturn)) static void become_engine(char *const *argv, char *const *environment,
                                                    pid_t parent, int niceness, int socket,
                                                    int output)
{
    /* If thawd died before the prctl, its death signal will never come. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        _exit(127);
    setpgid(0, 0);
    reset_signals();
    place_descriptors(socket, output);
    lower_standing(niceness);
    umask(077);
    execve(argv[0], argv, environment);
    say_and_leave("thawd: the engine cannot be executed\n");
    _exit(127);
}

/* --- In thawd. ------------------------------------------------------------------------------- */

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

enum status spawn_engine(char *const *argv, int niceness, struct spawned *spawned, struct err *err)
{
    char *environment[MAX_ENVIRONMENT + 1];
    int sockets[2] = {-1, -1}, pipes[2] = {-1, -1};
    enum status status = OK;
    keep_environment(environment);
    if (access(argv[0], X_OK)) {
        err_errno(err, "The engine %s cannot be run", argv[0]);
        return err->status = E_UNAVAILABLE;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) || pipe2(pipes, O_CLOEXEC)) {
        status = err_errno(err, "A connection to an engine cannot be made");
        goto done;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become_engine(argv, environment, parent, niceness, sockets[1], pipes[1]);
    if (pid < 0) {
        status = err_errno(err, "An engine cannot be started");
        goto done;
    }
    fcntl(sockets[0], F_SETFL, O_NONBLOCK);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    *spawned = (struct spawned){.pid = pid, .socket = sockets[0], .output = pipes[0]};
    sockets[0] = pipes[0] = -1;
done:
    close_pair(sockets);
    close_pair(pipes);
    return status;
}
