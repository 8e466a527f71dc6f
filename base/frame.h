/* frame.h -- the messages between thawd and thaw-engine: what a frame is on the wire.
 *
 *     u32 header length | u32 payload length | JSON object | payload        (little-endian)
 *
 * A header is a JSON object with a "type", at most 64 KiB. The payload's bound is the reader's to
 * set. What types there are and which fields they have is api/spec/wire.h. */
#ifndef THAW_BASE_FRAME_H
#define THAW_BASE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"

#define FRAME_MAX_HEADER (64 * 1024)

struct frame {
    struct json *header; /* owned */
    char *payload;       /* owned; NULL when empty */
    size_t payload_len;
};

void frame_deinit(struct frame *frame);

/* Blocking, whole frames: the engine's side. A closed peer is E_CANCELLED (on read: before the
 * first byte; a frame cut short is E_INVALID). */
enum status frame_read(int fd, size_t max_payload, struct frame *frame, struct err *err);
enum status frame_write(int fd, const struct json *header, const void *payload, size_t payload_len,
                        struct err *err);

/* Non-blocking, by pieces: thawd's side. frame_next takes one whole frame off the front of `in`:
 * OK with frame->header == NULL when more bytes are needed; E_INVALID when what is there can never
 * become a frame. frame_encode appends one to `out`. */
enum status frame_next(struct buf *in, size_t max_payload, struct frame *frame, struct err *err);
enum status frame_encode(struct buf *out, const struct json *header, const void *payload,
                         size_t payload_len, struct err *err);

#endif
