/* fuzz.h -- what every fuzz target shares: the entry point, and bytes as a file.
 *
 * A target calls one parser with bytes of a stranger and aborts when a promise of its header is
 * broken; the sanitizers watch the rest. */
#ifndef THAW_TESTS_FUZZ_FUZZ_H
#define THAW_TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define promise(holds) ((holds) ? (void)0 : abort())

/* A file in memory with these bytes, read from its start; the caller closes it. */
static inline int fuzz_file(const void *bytes, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    promise(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* Reads every byte, so that a sanitizer sees whether they are there. */
static inline void fuzz_touch(const uint8_t *bytes, size_t size)
{
    static volatile uint8_t last;
    for (size_t i = 0; i < size; i++)
        last = bytes[i];
    (void)last;
}

#endif
