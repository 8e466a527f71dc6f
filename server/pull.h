/* pull.h -- published weights of a base model: downloaded, checked, imported.
 *
 * The address is made of a table (store/base_models.c) and the operator's --pull-base, never of
 * anything that a client says. The file grows in DATA/pulls, under its published name; a download
 * that breaks goes on where it ended, also after a restart. torchvision's files have to have the
 * SHA-256 that their name begins with. fastai's archives of language models have no such name: what
 * comes from its own address has to have the size and the MD5 of the first MiB that fastai
 * publishes; from a mirror, which the operator chose, it is taken as it is. In both cases its
 * SHA-256 is told, and the engine imports it, sandboxed like any stranger's file, and checks every
 * tensor and word. */
#ifndef THAW_SERVER_PULL_H
#define THAW_SERVER_PULL_H

#include "api/app.h"
#include "store/base_models.h"

struct pull {
    struct store *store;  /* borrowed */
    const char *base_url; /* BASE_MODELS_URL (every file from its publisher), or a mirror's; ends
                             with / */
    uint64_t min_free;    /* bytes of disk that are left free */
    void *supervisor;     /* what imports */
    void (*import)(void *supervisor, const struct import_ask *ask);

    /* All on the thread that calls pull_model; `context` is theirs. */
    void *context;
    /* The file is whole, and what was to be checked of it holds. */
    void (*fetched)(void *context, const char *file, const char *sha256);
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

/* Whether the file at `path` is what fastai publishes: its size, and the MD5 of its first MiB. */
enum status pull_check_head(const struct base_model *base, const char *path, struct err *err);

/* What is expected of the download, in bytes: as exact as the published figure. */
int64_t pull_expected_bytes(const struct base_model *base);

#endif
