/* buf.h -- a growing run of bytes whose maximum is fixed at init.
 *
 * Past the maximum nothing is appended and `overflow` is set: check it once, at the end. The bytes
 * are always followed by a NUL that `len` does not count. */
#ifndef THAW_BASE_BUF_H
#define THAW_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* owned; "" until the first append */
    size_t len, capacity, max;
    bool overflow;
};

void buf_init(struct buf *buf, size_t max);
void buf_deinit(struct buf *buf);
void buf_clear(struct buf *buf);                                 /* keeps the memory */
bool buf_append(struct buf *buf, const void *bytes, size_t len); /* false: would pass the maximum */
bool buf_puts(struct buf *buf, const char *text);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *buf, size_t len); /* drops the first `len` bytes */
char *buf_take(struct buf *buf);               /* hands the bytes over: free with mem_free */

#endif
