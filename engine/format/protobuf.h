/* protobuf.h -- fields of Protocol Buffers, appended to a buffer.
 *
 * Writing needs two things of that format: numbers of a variable length, and runs of bytes with
 * their length before them. A message inside a message is such a run, so it is built in a buffer of
 * its own first; or, where it is too large for that, its length is announced (protobuf_begin) and
 * its bytes follow by another way.
 * https://protobuf.dev/programming-guides/encoding/ */
#ifndef THAW_ENGINE_FORMAT_PROTOBUF_H
#define THAW_ENGINE_FORMAT_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void protobuf_integer(struct buf *out, int field, uint64_t value);
void protobuf_float(struct buf *out, int field, float value);
void protobuf_bytes(struct buf *out, int field, const void *bytes, size_t len);
void protobuf_text(struct buf *out, int field, const char *text);
void protobuf_message(struct buf *out, int field, const struct buf *message);
/* The head of a run of `len` bytes that the caller writes next. */
void protobuf_begin(struct buf *out, int field, uint64_t len);

#endif
