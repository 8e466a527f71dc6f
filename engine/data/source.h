/* source.h -- bytes that come piece by piece: a file, a member of an archive, memory, or another
 * source decoded. Whoever reads knows nothing of where they come from. */
#ifndef THAW_ENGINE_DATA_SOURCE_H
#define THAW_ENGINE_DATA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct source {
    /* At most `size` bytes; *got is 0 at the end alone. */
    enum status (*read)(void *context, void *bytes, size_t size, size_t *got, struct err *err);
    void *context; /* borrowed */
};

struct source_memory {
    const char *bytes; /* borrowed */
    size_t left;
};
struct source source_of_memory(struct source_memory *memory);

struct source_file {
    int fd; /* borrowed; read from where it stands */
};
struct source source_of_file(struct source_file *file);

#endif
