/* fuzz_frame.c -- frames cut anywhere come out as those that arrive at once, and fit the wire's
 * table or are refused with a sentence. */
#include "tests/fuzz/fuzz.h"

#include "api/spec/wire.h"
#include "base/frame.h"

#define MAX_PAYLOAD 4096

/* Takes every frame off the front; the number of them, or -1 - number where one is broken. */
static long take_all(struct buf *in)
{
    struct frame frame;
    struct err err = {0};
    for (long n = 0;; n++) {
        if (frame_next(in, MAX_PAYLOAD, &frame, &err) != OK) {
            promise(err.detail[0]);
            return -1 - n;
        }
        if (!frame.header)
            return n;
        promise(json_type(frame.header) == JSON_OBJECT && frame.payload_len <= MAX_PAYLOAD);
        if (wire_check_up(frame.header, &err) != OK)
            promise(err.detail[0]);
        frame_deinit(&frame);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;
    buf_init(&whole, 1u << 20);
    buf_init(&pieces, 1u << 20);
    buf_append(&whole, data, size);
    long at_once = take_all(&whole), total = 0;
    for (size_t i = 0; i < size && total >= 0; i++) {
        buf_append(&pieces, data + i, 1);
        long more = take_all(&pieces);
        total = more < 0 ? more - total : total + more;
    }
    promise(total == at_once);
    buf_deinit(&whole);
    buf_deinit(&pieces);
    return 0;
}
