/* mem.c -- allocation that aborts, allocation that reports, and arenas. */
#include "base/mem.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT   64
#define ARENA_BLOCK 4096 /* the first block of an arena; each next one is twice as large */
#define ARENA_LIMIT (1u << 20)

static void *must(void *block, size_t size)
{
    if (!block) {
        fprintf(stderr, "Memory is out: %zu bytes could not be allocated.\n", size);
        abort();
    }
    return block;
}

void *mem_alloc(size_t size)
{
    return must(calloc(1, size ? size : 1), size);
}

void *mem_realloc(void *old, size_t size)
{
    return must(realloc(old, size ? size : 1), size);
}

void mem_free(void *block)
{
    free(block);
}

char *mem_strdup(const char *text)
{
    return must(strdup(text), strlen(text) + 1);
}

static char *format_text(char *(*allocate)(void *context, size_t size), void *context,
                         const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    size_t size = len < 0 ? 1 : (size_t)len + 1;
    char *text = allocate(context, size);
    text[0] = '\0';
    if (len >= 0)
        vsnprintf(text, size, format, again);
    va_end(again);
    return text;
}

static char *allocate_plain(void *context, size_t size)
{
    (void)context;
    return mem_alloc(size);
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(allocate_plain, NULL, format, args);
    va_end(args);
    return text;
}

static enum status too_much(size_t n, size_t size, const char *what, struct err *err)
{
    return err_set(err, E_NO_SPACE,
                   "There is not enough memory for %s (%zu times %zu bytes): use a smaller size or "
                   "free memory.",
                   what, n, size);
}

enum status mem_try_alloc(size_t n, size_t size, const char *what, void **block, struct err *err)
{
    size_t bytes;
    bool fits = !__builtin_mul_overflow(n, size, &bytes) && bytes <= PTRDIFF_MAX;
    void *new = fits ? calloc(1, bytes ? bytes : 1) : NULL;
    if (!new)
        return too_much(n, size, what, err);
    *block = new;
    return OK;
}

enum status mem_try_aligned(size_t n, size_t size, const char *what, void **block, struct err *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX - ALIGNMENT)
        return too_much(n, size, what, err);
    bytes = bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    void *new = aligned_alloc(ALIGNMENT, bytes);
    if (!new)
        return too_much(n, size, what, err);
    memset(new, 0, bytes);
    *block = new;
    return OK;
}

struct arena_block {
    struct arena_block *next; /* older */
    size_t used, size;
    alignas(16) char bytes[];
};

void arena_init(struct arena *arena)
{
    arena->blocks = NULL;
}

void arena_deinit(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        mem_free(arena->blocks);
        arena->blocks = next;
    }
}

static struct arena_block *grow(struct arena *arena, size_t size)
{
    size_t room = arena->blocks ? arena->blocks->size * 2 : ARENA_BLOCK;
    if (room > ARENA_LIMIT)
        room = ARENA_LIMIT;
    if (room < size)
        room = size;
    struct arena_block *block = mem_alloc(sizeof(*block) + room);
    block->size = room;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        must(NULL, size);
    size = size ? (size + 15) & ~(size_t)15 : 16;
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < size)
        block = grow(arena, size);
    void *bytes = block->bytes + block->used;
    block->used += size;
    return bytes;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text ? arena_strndup(arena, text, strlen(text)) : NULL;
}

char *arena_strndup(struct arena *arena, const char *text, size_t n)
{
    if (!text)
        return NULL;
    size_t len = strnlen(text, n);
    char *copy = arena_alloc(arena, len + 1);
    memcpy(copy, text, len);
    return copy;
}

static char *allocate_in_arena(void *context, size_t size)
{
    return arena_alloc(context, size);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(allocate_in_arena, arena, format, args);
    va_end(args);
    return text;
}
