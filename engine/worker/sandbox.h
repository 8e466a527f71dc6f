/* sandbox.h -- what a verb gives up before it reads a stranger's first byte.
 *
 * Four walls, each of which holds alone: no_new_privs; landlock (files: the given paths and nothing
 * else, no links, sockets, devices); seccomp (an allow-list of system calls: no socket, exec,
 * ptrace, io_uring, no signal to another process); limits (memory, file size, descriptors, no
 * core). There is no way back. Enter before the first thread and the first OpenMP region: landlock
 * binds the calling thread and what it starts later.
 *
 * A kernel may lack landlock: then the seccomp wall stands alone and the state says so. */
#ifndef THAW_ENGINE_WORKER_SANDBOX_H
#define THAW_ENGINE_WORKER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define SANDBOX_MAX_PATHS 64

enum sandbox_mode {
    SANDBOX_AUTO,    /* as much as the kernel has; what is missing is told */
    SANDBOX_REQUIRE, /* E_UNAVAILABLE unless every wall stands */
    SANDBOX_OFF
};

/* "auto", "require", "off"; NULL is auto. */
bool sandbox_mode_from_name(const char *name, enum sandbox_mode *mode);

enum sandbox_profile {
    SANDBOX_PARSE,  /* ingest, import, synth: no executable memory is ever made */
    SANDBOX_COMPUTE /* train, predict, bench: threads, and memory for oneDNN's kernels */
};

struct sandbox_options {
    enum sandbox_mode mode;
    enum sandbox_profile profile;
    const char *read[SANDBOX_MAX_PATHS]; /* borrowed; files or folders to read; must exist */
    size_t n_read;
    const char *write[4]; /* borrowed; folders to read, write, make and remove files in */
    size_t n_write;
    uint64_t max_memory;    /* bytes of private memory; 0: the profile's default */
    uint64_t max_file_size; /* bytes of any one file written; 0: the profile's default */
};

struct sandbox_state {
    bool no_new_privs, limits, seccomp;
    int landlock_abi;  /* 0: none */
    char missing[256]; /* what is not there and why, a sentence; "" when all walls stand */
};

/* E_UNAVAILABLE when a wall is required and cannot be had; E_INVALID for a path that cannot be
 * opened. After a failure the process is partly shut in: report and exit. */
enum status sandbox_enter(const struct sandbox_options *options, struct sandbox_state *state,
                          struct err *err);

/* What this kernel and build would give, without entering: for `/version` and --version. */
void sandbox_probe(struct sandbox_state *state);

/* "landlock 7, seccomp, limits" or "off"; returns `text`. */
const char *sandbox_text(const struct sandbox_state *state, char *text, size_t size);

#endif
