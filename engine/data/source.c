/* source.c -- see source.h. */
#include "engine/data/source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static enum status read_memory(void *context, void *bytes, size_t size, size_t *got,
                               struct err *err)
{
    struct source_memory *memory = context;
    (void)err;
    *got = size < memory->left ? size : memory->left;
    if (*got)
        memcpy(bytes, memory->bytes, *got);
    memory->bytes += *got;
    memory->left -= *got;
    return OK;
}

struct source source_of_memory(struct source_memory *memory)
{
    return (struct source){read_memory, memory};
}

static enum status read_file(void *context, void *bytes, size_t size, size_t *got, struct err *err)
{
    const struct source_file *file = context;
    ssize_t n;
    do {
        n = read(file->fd, bytes, size);
    } while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    return n < 0 ? err_errno(err, "The upload cannot be read") : OK;
}

struct source source_of_file(struct source_file *file)
{
    return (struct source){read_file, file};
}
