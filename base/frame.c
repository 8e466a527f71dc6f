/* frame.c -- length, header, payload: read and written whole, or by pieces. */
#include "base/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define PREFIX 8 /* the two lengths */

void frame_deinit(struct frame *frame)
{
    json_free(frame->header);
    mem_free(frame->payload);
    *frame = (struct frame){0};
}

static uint32_t get_u32(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put_u32(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (8 * i) & 0xff);
}

static enum status check_lengths(const char *prefix, size_t max_payload, size_t *header_len,
                                 size_t *payload_len, struct err *err)
{
    *header_len = get_u32(prefix);
    *payload_len = get_u32(prefix + 4);
    if (*header_len > FRAME_MAX_HEADER)
        return err_set(err, E_INVALID, "A frame's header has %zu bytes: at most %d are allowed.",
                       *header_len, FRAME_MAX_HEADER);
    if (*payload_len > max_payload)
        return err_set(err, E_INVALID, "A frame's payload has %zu bytes: at most %zu are allowed.",
                       *payload_len, max_payload);
    return OK;
}

static enum status parse_header(const char *text, size_t len, struct json **header, struct err *err)
{
    enum status status = json_parse(text, len, header, err);
    if (status == E_SYNTAX) {
        err_prefix(err, "A frame's header is wrong: ");
        return err ? err->status = E_INVALID : E_INVALID;
    }
    if (status != OK || json_string(*header, "type", NULL))
        return status;
    json_free(*header);
    *header = NULL;
    return err_set(err, E_INVALID, "A frame's header is a JSON object with a text \"type\".");
}

/* Exactly len bytes. Nothing at all before the end is E_CANCELLED, a part of them E_INVALID. */
static enum status read_exactly(int fd, char *bytes, size_t len, struct err *err)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = read(fd, bytes + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != ECONNRESET)
            return err_errno(err, "A frame could not be read");
        if (n <= 0)
            return got == 0 ? err_set(err, E_CANCELLED, "The other side closed the connection.")
                            : err_set(err, E_INVALID,
                                      "The connection ended inside a frame, %zu bytes early.",
                                      len - got);
        got += (size_t)n;
    }
    return OK;
}

static enum status read_rest(int fd, char *bytes, size_t len, struct err *err)
{
    enum status status = read_exactly(fd, bytes, len, err);
    if (status == E_CANCELLED)
        return err_set(err, E_INVALID, "The connection ended inside a frame, %zu bytes early.",
                       len);
    return status;
}

enum status frame_read(int fd, size_t max_payload, struct frame *frame, struct err *err)
{
    char prefix[PREFIX];
    size_t header_len, payload_len;
    struct frame made = {0};
    void *text = NULL;
    enum status status = read_exactly(fd, prefix, PREFIX, err);
    if (status == OK)
        status = check_lengths(prefix, max_payload, &header_len, &payload_len, err);
    if (status != OK)
        return status;
    text = mem_alloc(header_len);
    status = read_rest(fd, text, header_len, err);
    if (status == OK)
        status = parse_header(text, header_len, &made.header, err);
    if (status == OK && payload_len) {
        void *payload = NULL;
        status = mem_try_alloc(payload_len, 1, "a frame's payload", &payload, err);
        made.payload = payload;
        made.payload_len = payload_len;
        if (status == OK)
            status = read_rest(fd, made.payload, payload_len, err);
    }
    mem_free(text);
    if (status == OK)
        *frame = made;
    else
        frame_deinit(&made);
    return status;
}

enum status frame_next(struct buf *in, size_t max_payload, struct frame *frame, struct err *err)
{
    *frame = (struct frame){0};
    if (in->len < PREFIX)
        return OK;
    size_t header_len, payload_len;
    enum status status = check_lengths(in->data, max_payload, &header_len, &payload_len, err);
    if (status != OK || in->len < PREFIX + header_len)
        return status;
    /* The header is judged as soon as it is there: a hostile one does not make us wait. */
    struct frame made = {0};
    status = parse_header(in->data + PREFIX, header_len, &made.header, err);
    if (status != OK || in->len - PREFIX - header_len < payload_len)
        goto done;
    if (payload_len) {
        void *payload = NULL;
        status = mem_try_alloc(payload_len, 1, "a frame's payload", &payload, err);
        if (status != OK)
            goto done;
        memcpy(payload, in->data + PREFIX + header_len, payload_len);
        made.payload = payload;
        made.payload_len = payload_len;
    }
    buf_consume(in, PREFIX + header_len + payload_len);
    *frame = made;
    return OK;
done:
    frame_deinit(&made);
    return status;
}

/* The two lengths and the header, as bytes. */
static enum status encode_front(struct buf *out, const struct json *header, size_t payload_len,
                                struct err *err)
{
    struct buf text;
    buf_init(&text, FRAME_MAX_HEADER);
    json_print(header, &text);
    enum status status = OK;
    char prefix[PREFIX];
    if (text.overflow)
        status =
            err_set(err, E_INTERNAL, "A frame's header would pass %d bytes.", FRAME_MAX_HEADER);
    else if (payload_len > UINT32_MAX)
        status = err_set(err, E_INTERNAL, "A frame's payload would pass 4 GiB.");
    if (status != OK)
        goto done;
    put_u32(prefix, (uint32_t)text.len);
    put_u32(prefix + 4, (uint32_t)payload_len);
    if (out->max - out->len < PREFIX + text.len + payload_len || !buf_append(out, prefix, PREFIX) ||
        !buf_append(out, text.data, text.len))
        status = err_set(err, E_NO_SPACE, "A frame does not fit a buffer of %zu bytes.", out->max);
done:
    buf_deinit(&text);
    return status;
}

enum status frame_encode(struct buf *out, const struct json *header, const void *payload,
                         size_t payload_len, struct err *err)
{
    size_t before = out->len;
    enum status status = encode_front(out, header, payload_len, err);
    if (status == OK && !buf_append(out, payload, payload_len))
        status = err_set(err, E_NO_SPACE, "A frame does not fit a buffer of %zu bytes.", out->max);
    if (status != OK) {
        out->len = before; /* half a frame would corrupt what follows */
        if (out->capacity)
            out->data[before] = '\0';
    }
    return status;
}

/* A peer that is gone is an error, not a SIGPIPE, where the descriptor is a socket. */
static enum status send_all(int fd, const char *bytes, size_t len, struct err *err)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
            n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return err_set(err, E_CANCELLED, "The other side closed the connection.");
        if (n < 0)
            return err_errno(err, "A frame could not be written");
        bytes += n;
        len -= (size_t)n;
    }
    return OK;
}

enum status frame_write(int fd, const struct json *header, const void *payload, size_t payload_len,
                        struct err *err)
{
    struct buf front;
    buf_init(&front, SIZE_MAX / 8);
    enum status status = encode_front(&front, header, payload_len, err);
    if (status == OK)
        status = send_all(fd, front.data, front.len, err);
    if (status == OK && payload_len)
        status = send_all(fd, payload, payload_len, err);
    buf_deinit(&front);
    return status;
}
