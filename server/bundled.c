/* bundled.c -- see bundled.h. To add weights: a file in weights/, EMBED and a row of the table. */
#include "server/bundled.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/mem.h"
#include "server/embed.h"
#include "store/base_models.h"
#include "store/models.h"

EMBED(bundled_thaw_small, "weights/thaw-small.safetensors");

static const struct bundled {
    const char *name; /* of a base model (store/base_models.c) */
    const char *bytes, *end;
} bundled[] = {
    {"thaw-small", bundled_thaw_small, bundled_thaw_small_end},
};

/* Storing leaves a file that is there as it is: one that is damaged goes first. */
static enum status remove_damaged(struct store *store, const char *sha256, struct err *err)
{
    char path[PATH_MAX];
    enum status status = blob_path(store, sha256, path, sizeof path, err);
    if (status == OK && unlink(path) && errno != ENOENT)
        status = err_errno(err, "The damaged file %s cannot be removed", path);
    return status;
}

/* Whether the model has just these weights, and their file is whole. */
static enum status is_installed(struct store *store, const struct bundled *file, bool *installed,
                                struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    struct arena arena;
    struct model_row row;
    struct err gone = {0};
    sha256_bytes(file->bytes, (size_t)(file->end - file->bytes), digest);
    digest_hex(digest, sizeof digest, hex);
    arena_init(&arena);
    enum status status = model_get(store, file->name, &arena, &row, err);
    *installed = status == OK && row.weights && strcmp(row.weights, hex) == 0;
    if (*installed && blob_verify(store, hex, file->name, &gone) != OK) {
        *installed = false;
        status = remove_damaged(store, hex, err);
    }
    arena_deinit(&arena);
    return status;
}

static enum status install(struct store *store, const struct bundled *file, struct err *err)
{
    struct blob blob;
    char *path = mem_printf("%s/tmp/%s.safetensors", store_folder(store), file->name);
    enum status status = fs_write_file(path, file->bytes, (size_t)(file->end - file->bytes), err);
    if (status == OK)
        status = blob_move(store, path, &blob, err);
    if (status == OK)
        status = base_model_set_weights(store, file->name, &blob, err);
    unlink(path);
    mem_free(path);
    return status;
}

/* The program's own pages, which nobody reads again until the next start. */
static void forget(const struct bundled *file)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)file->bytes + page - 1) & ~(page - 1);
    uintptr_t end = (uintptr_t)file->end & ~(page - 1);
    if (end > begin)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

enum status bundled_install(struct store *store, struct err *err)
{
    enum status status = OK;
    for (size_t i = 0; status == OK && i < ARRAY_LEN(bundled); i++) {
        bool installed = false;
        status = is_installed(store, &bundled[i], &installed, err);
        if (status == OK && !installed)
            status = install(store, &bundled[i], err);
        forget(&bundled[i]);
    }
    return status;
}
