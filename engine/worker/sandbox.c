/* sandbox.c -- raises the walls in their order: limits, no_new_privs, landlock, seccomp last. */
#include "engine/worker/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/worker/sandbox_walls.h"

#define MAX_DESCRIPTORS 256
#define GIB             (UINT64_C(1) << 30)

/* For what the options leave open. A pack may be large (ingest bounds it itself), a checkpoint is
 * not; training may use what the machine has, a parser of uploads need not. */
static const struct {
    uint64_t memory, file_size; /* bytes; memory 0: all of the machine's */
} defaults[] = {
    [SANDBOX_PARSE] = {3 * GIB, 2048 * GIB},
    [SANDBOX_COMPUTE] = {0, 64 * GIB},
};

bool sandbox_mode_from_name(const char *name, enum sandbox_mode *mode)
{
    static const char *const names[] = {
        [SANDBOX_AUTO] = "auto", [SANDBOX_REQUIRE] = "require", [SANDBOX_OFF] = "off"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!name || strcmp(name, names[i]) == 0) {
            *mode = (enum sandbox_mode)i;
            return true;
        }
    }
    return false;
}

/* What will not stand, and why: found before anything is given up. */
static void note_missing(struct sandbox_state *state)
{
    state->landlock_abi = landlock_abi();
    state->seccomp = !SANDBOX_SANITIZED && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
    state->no_new_privs = state->limits = true;
    if (SANDBOX_SANITIZED)
        snprintf(state->missing, sizeof state->missing,
                 "System calls are not filtered and memory is not limited, since this build has a "
                 "sanitizer in it.");
    else if (!state->seccomp)
        snprintf(state->missing, sizeof state->missing,
                 "System calls are not filtered: the kernel has no seccomp.");
    else if (state->landlock_abi == 0)
        snprintf(state->missing, sizeof state->missing,
                 "Files are not restricted: the kernel has no landlock.");
}

void sandbox_probe(struct sandbox_state *state)
{
    *state = (struct sandbox_state){0};
    note_missing(state);
}

const char *sandbox_text(const struct sandbox_state *state, char *text, size_t size)
{
    struct buf out;
    buf_init(&out, size - 1);
    if (state->landlock_abi > 0)
        buf_printf(&out, "landlock %d", state->landlock_abi);
    if (state->seccomp)
        buf_printf(&out, "%sseccomp", out.len ? ", " : "");
    if (state->limits)
        buf_printf(&out, "%slimits", out.len ? ", " : "");
    snprintf(text, size, "%s", out.len ? out.data : "off");
    buf_deinit(&out);
    return text;
}

static enum status limit(int resource, const char *what, uint64_t value, struct err *err)
{
    struct rlimit old, new = {value, value};
    if (getrlimit((__rlimit_resource_t)resource, &old) == 0 && old.rlim_max < value)
        new.rlim_cur = new.rlim_max = old.rlim_max;
    if (setrlimit((__rlimit_resource_t)resource, &new) != 0)
        return err_errno(err, "Limiting %s failed", what);
    return OK;
}

static uint64_t memory_limit(const struct sandbox_options *options)
{
    if (options->max_memory > 0)
        return options->max_memory;
    if (defaults[options->profile].memory > 0)
        return defaults[options->profile].memory;
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static enum status set_limits(const struct sandbox_options *options, struct err *err)
{
    uint64_t file_size =
        options->max_file_size ? options->max_file_size : defaults[options->profile].file_size;
    enum status status = limit(RLIMIT_CORE, "core dumps", 0, err);
    if (status == OK)
        status = limit(RLIMIT_NOFILE, "open files", MAX_DESCRIPTORS, err);
    if (status == OK)
        status = limit(RLIMIT_FSIZE, "file size", file_size, err);
    if (status == OK && !SANDBOX_SANITIZED)
        status = limit(RLIMIT_DATA, "memory", memory_limit(options), err);
    signal(SIGXFSZ, SIG_IGN); /* a write past the limit then fails with EFBIG, as on a full disk */
    return status;
}

/* Landlock binds the calling thread: one that runs already would stay outside. A sanitizer may have
 * a thread of its own. */
static enum status check_single_thread(struct err *err)
{
    int n = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return OK; /* no /proc: nothing to count by */
    for (struct dirent *entry; (entry = readdir(tasks));)
        n += entry->d_name[0] != '.';
    closedir(tasks);
    if (n > 1 && !SANDBOX_SANITIZED)
        return err_set(err, E_INTERNAL, "The sandbox was entered with %d threads running.", n);
    return OK;
}

enum status sandbox_enter(const struct sandbox_options *options, struct sandbox_state *state,
                          struct err *err)
{
    *state = (struct sandbox_state){0};
    if (options->mode == SANDBOX_OFF)
        return OK;
    note_missing(state);
    if (options->mode == SANDBOX_REQUIRE && state->missing[0])
        return err_set(err, E_UNAVAILABLE, "The sandbox is required, but not complete: %s",
                       state->missing);
    enum status status = check_single_thread(err);
    if (status == OK)
        status = set_limits(options, err);
    if (status == OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        status = err_errno(err, "Giving up new privileges failed");
    if (status == OK && state->landlock_abi > 0)
        status = landlock_enter(options, state->landlock_abi, err);
    if (status == OK && state->seccomp)
        status = seccomp_enter(options->profile, err);
    return status;
}
