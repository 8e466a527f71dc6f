/* spawn.h -- fork and exec of thaw-engine, and nothing inherited by it that it should not have.
 *
 * The new process has: descriptor 3, its end of a socket; stdin from /dev/null; stdout and stderr
 * in one pipe; a few environment variables (the table in spawn.c); a process group of its own, so
 * that Ctrl-C in a terminal reaches thawd alone; no core files; a lower priority; the first place
 * in the queue when memory runs out; and it dies with the thread that started it. */
#ifndef THAW_SERVER_SPAWN_H
#define THAW_SERVER_SPAWN_H

#include <sys/types.h>

#include "base/status.h"

struct spawned {
    pid_t pid;
    int socket; /* ours, non-blocking; owned by the caller */
    int output; /* what the engine prints, non-blocking; owned by the caller */
};

/* `argv` ends with NULL; argv[0] is the program's path. E_UNAVAILABLE when it cannot be run. */
enum status spawn_engine(char *const *argv, int niceness, struct spawned *spawned, struct err *err);

#endif
