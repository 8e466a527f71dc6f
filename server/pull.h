/* pull.h -- published weights of a base model: downloaded, checked, imported.
 *
 * The address is made of a table (store/base_models.c) and the operator's --pull-base, never of
 * anything that a client says. The file grows in DATA/pulls, under its published name; a download
 * that breaks goes on where it ended, also after a restart. Its SHA-256 has to begin as its name
 * says; then the engine imports it, sandboxed like any stranger's file. */
#ifndef THAW_SERVER_PULL_H
#define THAW_SERVER_PULL_H

#include "api/app.h"
#include "store/base_models.h"

struct pull {
    struct store *store;  /* borrowed */
    const char *base_url; /* BASE_MODELS_URL, or a mirror's; ends with / */
    uint64_t min_free;    /* bytes of disk that are left free */
    void *supervisor;     /* what imports */
    void (*import)(void *supervisor, const struct import_ask *ask);

    /* All on the thread that calls pull_model; `context` is theirs. */
    void *context;
    /* Some times a second while it downloads. False: stop. */
    bool (*told)(void *context, uint64_t done, uint64_t total);
    /* Before another try, which is `seconds` off. False: stop. */
    bool (*pause)(void *context, double seconds, const struct err *err);
    /* Around the call of `import`, which must not outlast the supervisor. False: stop. */
    bool (*enter)(void *context);
    void (*leave)(void *context);
};

/* Downloads and imports; the model's row has its weights then. E_CANCELLED when it was stopped;
 * what came is kept. Every other failure is a sentence with a code for machines and a hint. */
enum status pull_model(const struct pull *pull, const struct base_model *base, struct err *err);

/* What is expected of the download, in bytes: as exact as the published figure. */
int64_t pull_expected_bytes(const struct base_model *base);

#endif
