#include "engine/worker/import_archive.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/data/archive.h"

#define MAX_MEMBERS 10000
#define MAX_BYTES   (UINT64_C(16) << 30) /* of the weights, unpacked; the sandbox bounds the rest */

static enum status open_reader(const char *path, int *fd, struct archive_reader **reader,
                               struct err *err)
{
    struct archive_limits limits = archive_default_limits();
    limits.max_entries = MAX_MEMBERS;
    limits.max_bytes = limits.max_item_bytes = MAX_BYTES;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return err_errno(err, "Opening %s failed", path);
    enum status status = archive_reader_open(*fd, &limits, reader, err);
    if (status != OK)
        close(*fd);
    return status;
}

static bool ends_in(const char *name, const char *ending)
{
    size_t len = strlen(name), tail = strlen(ending);
    return len >= tail && strcasecmp(name + len - tail, ending) == 0;
}

/* --- Recognition ------------------------------------------------------------------------------ */

/* torch.save's zips hold NAME/data.pkl. */
static enum status holds_torch_pickle(const char *path, bool *holds, struct err *err)
{
    int fd;
    struct archive_reader *reader;
    struct archive_member *member;
    enum status status = open_reader(path, &fd, &reader, err);
    if (status != OK)
        return status;
    *holds = false;
    while (!*holds && (status = archive_reader_next(reader, &member, err)) == OK && member)
        *holds = ends_in(member->name, "/data.pkl") || strcmp(member->name, "data.pkl") == 0;
    archive_reader_close(reader);
    close(fd);
    return status;
}

enum status import_archive_is_one(const char *path, bool *is_one, struct err *err)
{
    char first[ARCHIVE_SNIFF];
    *is_one = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, "Opening %s failed", path);
    ssize_t n = pread(fd, first, sizeof first, 0);
    close(fd);
    if (n <= 0 || !archive_is_known(first, (size_t)n))
        return OK;
    if (n < 2 || memcmp(first, "PK", 2) != 0) {
        *is_one = true;
        return OK;
    }
    bool torch = false;
    struct err damaged = {0}; /* the reader of weights has the better sentence */
    *is_one = holds_torch_pickle(path, &torch, &damaged) == OK && !torch;
    return OK;
}

/* --- Unpacking -------------------------------------------------------------------------------- */

static const struct role {
    const char *what, *file; /* in sentences; our name */
    const char *endings[6];
} roles[] = {
    {"weights file", "unpacked.weights", {".pth", ".h5", ".pt", ".th", ".safetensors", NULL}},
    {"vocabulary", "unpacked.vocabulary", {".pkl", ".pickle", ".json", NULL}},
};

static int find_role(const char *name)
{
    for (int i = 0; i < (int)ARRAY_LEN(roles); i++)
        for (const char *const *ending = roles[i].endings; *ending; ending++)
            if (ends_in(name, *ending))
                return i;
    return -1;
}

static enum status save(struct archive_reader *reader, const struct archive_member *member,
                        const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "Creating %s failed", path);
    enum status status = archive_reader_save(reader, fd, err);
    if (close(fd) != 0 && status == OK)
        status = err_errno(err, "Writing %s failed", path);
    if (status == OK && member->refusal[0])
        status = err_set(err, E_INVALID, "The archive's %.200s cannot be used: %s", member->name,
                         member->refusal);
    return status;
}

static enum status take_member(struct archive_reader *reader, const struct archive_member *member,
                               const char *folder, struct import_pair *pair, struct err *err)
{
    int i = member->ignored ? -1 : find_role(member->name);
    if (i < 0)
        return OK;
    char **path = i == 0 ? &pair->weights : &pair->vocabulary;
    if (*path)
        return err_set(err, E_INVALID,
                       "The archive holds more than one %s (%.200s is another): send the one that "
                       "is wanted, and the vocabulary, as a form with two files.",
                       roles[i].what, member->name);
    if (member->refusal[0])
        return err_set(err, E_INVALID, "The archive's %.200s cannot be used: %s", member->name,
                       member->refusal);
    *path = mem_printf("%s/%s", folder, roles[i].file);
    return save(reader, member, *path, err);
}

enum status import_archive_unpack(const char *path, const char *folder, struct import_pair *pair,
                                  struct err *err)
{
    int fd;
    struct archive_reader *reader;
    struct archive_member *member;
    *pair = (struct import_pair){0};
    enum status status = open_reader(path, &fd, &reader, err);
    if (status != OK)
        return status;
    while ((status = archive_reader_next(reader, &member, err)) == OK && member) {
        status = take_member(reader, member, folder, pair, err);
        if (status != OK)
            break;
    }
    if (status == OK && !pair->weights)
        status = err_set(err, E_INVALID,
                         "The archive holds no weights file (.pth, .h5, .pt, .safetensors): it "
                         "should have that, and of a model of text the vocabulary (.pkl).");
    archive_reader_close(reader);
    close(fd);
    if (status != OK)
        import_pair_remove(pair);
    return status;
}

void import_pair_remove(struct import_pair *pair)
{
    if (pair->weights)
        unlink(pair->weights);
    if (pair->vocabulary)
        unlink(pair->vocabulary);
    mem_free(pair->weights);
    mem_free(pair->vocabulary);
    *pair = (struct import_pair){0};
}
