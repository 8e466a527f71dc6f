#include "engine/format/protobuf.h"

#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_RUN = 2, WIRE_4_BYTES = 5 };

/* Seven bits a byte, lowest first; the top bit says that more follow. */
static void put_varint(struct buf *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (uint8_t)(value & 0x7f);
        value >>= 7;
        bytes[n++] |= value ? 0x80 : 0;
    } while (value);
    buf_append(out, bytes, n);
}

static void put_tag(struct buf *out, int field, enum wire_type type)
{
    put_varint(out, (uint64_t)field << 3 | (uint64_t)type);
}

void protobuf_integer(struct buf *out, int field, uint64_t value)
{
    put_tag(out, field, WIRE_VARINT);
    put_varint(out, value);
}

void protobuf_float(struct buf *out, int field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                        (uint8_t)(bits >> 24)};
    put_tag(out, field, WIRE_4_BYTES);
    buf_append(out, bytes, sizeof bytes);
}

void protobuf_begin(struct buf *out, int field, uint64_t len)
{
    put_tag(out, field, WIRE_RUN);
    put_varint(out, len);
}

void protobuf_bytes(struct buf *out, int field, const void *bytes, size_t len)
{
    protobuf_begin(out, field, len);
    buf_append(out, bytes, len);
}

void protobuf_text(struct buf *out, int field, const char *text)
{
    protobuf_bytes(out, field, text, strlen(text));
}

void protobuf_message(struct buf *out, int field, const struct buf *message)
{
    protobuf_bytes(out, field, message->data, message->len);
}
