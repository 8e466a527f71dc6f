/* config.h -- the settings of thawd: one typed table of flags.
 *
 * A setting comes from its flag, else from its environment variable (THAW_ and the flag's name in
 * capitals), else from the table's default; all three are text and go through the same check, so an
 * error always says which setting, which value, and what was expected. --help is the table. */
#ifndef THAW_SERVER_CONFIG_H
#define THAW_SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"

struct config {
    const char *host; /* of --listen: an IP address in numbers, without brackets */
    int port;         /* 0: any free one */
    const char *data;
    const char *pull_base; /* where published weights come from; ends with / */
    const char *engine;    /* path of thaw-engine; "" is the one beside thawd */
    int64_t max_jobs, threads, max_upload, min_free, max_streams, max_connections;
    const char *sandbox, *log_level; /* one of the table's choices each */
    bool insecure;
    const char **allowed_hosts; /* arena */
    size_t n_allowed_hosts;
    const char *listen, *allowed_host; /* as given */
    bool help, version;
};

/* Fills *config, whose strings live in `arena`. `environment` is getenv's stand-in for tests. */
enum status config_read(struct config *config, struct arena *arena, int argc, char *const *argv,
                        char *(*environment)(const char *name), struct err *err);

/* Whether other machines can reach what we listen on. */
bool config_is_public(const struct config *config);
void config_print_help(struct buf *out);

#endif
