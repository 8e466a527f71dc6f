/* mem.h -- the two tiers of allocation, and arenas.
 *
 * Small and bounded requests (mem_alloc) abort when memory is out: there is nothing sensible left
 * to do. A size that came from a user goes through mem_try_alloc, which returns an error.
 * An arena frees everything at once: requests, job documents and rows live in one. */
#ifndef THAW_BASE_MEM_H
#define THAW_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

void *mem_alloc(size_t size);              /* zeroed; never NULL; free with mem_free */
void *mem_realloc(void *old, size_t size); /* never NULL; new bytes are not zeroed */
char *mem_strdup(const char *text);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *block); /* NULL is fine */

/* n * size zeroed bytes, or E_NO_SPACE with a sentence that names `what`; checks the product. */
enum status mem_try_alloc(size_t n, size_t size, const char *what, void **block, struct err *err);

/* 64-byte aligned, zeroed, for numbers that vector code reads; same errors; free with mem_free. */
enum status mem_try_aligned(size_t n, size_t size, const char *what, void **block, struct err *err);

struct arena {
    struct arena_block *blocks; /* owned */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t size);       /* zeroed, 16-byte aligned, never NULL */
char *arena_strdup(struct arena *arena, const char *text); /* NULL gives NULL */
char *arena_strndup(struct arena *arena, const char *text, size_t n);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
