/* pull_fetch.h -- one file from the web onto the disk, going on where an earlier try ended.
 *
 * HTTPS with the system's certificates and proxy settings; plain HTTP only where the address itself
 * is one (a mirror that the operator named), and never after a redirect. Only this file and its .c
 * know libcurl. */
#ifndef THAW_SERVER_PULL_FETCH_H
#define THAW_SERVER_PULL_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct fetch {
    const char *url;
    const char *path;   /* what is there already is the beginning of the file; it is added to */
    uint64_t max_bytes; /* of the whole file */
    /* Some times a second, on the caller's thread; total 0: unknown. False: stop. May be NULL. */
    bool (*told)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/* Once a process, before other threads. */
enum status fetch_begin(struct err *err);
const char *fetch_library_version(void);

/* On failure *again says whether to try once more makes sense: the connection broke, or the server
 * was busy. What came stays at `path` then. E_CANCELLED: `told` said so. */
enum status fetch_file(const struct fetch *fetch, bool *again, struct err *err);

#endif
