/* png.c -- see png.h.
 *
 * libpng reports errors by longjmp. Every use runs as a `body` that owns nothing: its row buffer
 * belongs to with_reader, so the jump leaks nothing. */
#include "engine/data/png.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "base/mem.h"
#include "engine/data/exif.h"

#define SIGNATURE_BYTES 8
#define CHUNK_OVERHEAD  12         /* length, type, CRC */
#define MAX_CHUNKS      1000       /* ancillary chunks that are kept */
#define MAX_CHUNK_BYTES (8u << 20) /* of one ancillary chunk, unpacked */

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The content of the chunk `type` before the picture data, or NULL. */
static const uint8_t *find_chunk(const uint8_t *bytes, size_t len, const char *type,
                                 size_t *chunk_len)
{
    size_t at = SIGNATURE_BYTES;
    while (len - at >= CHUNK_OVERHEAD) {
        size_t size = read_u32(bytes + at);
        if (size > len - at - CHUNK_OVERHEAD || memcmp(bytes + at + 4, "IDAT", 4) == 0)
            return NULL;
        if (memcmp(bytes + at + 4, type, 4) == 0) {
            *chunk_len = size;
            return bytes + at + 8;
        }
        at += size + CHUNK_OVERHEAD;
    }
    return NULL;
}

enum status image_png_header(const uint8_t *bytes, size_t len, struct image_header *header,
                             struct err *err)
{
    size_t ihdr_len, exif_len;
    const uint8_t *ihdr = find_chunk(bytes, len, "IHDR", &ihdr_len);
    if (!ihdr || ihdr != bytes + SIGNATURE_BYTES + 8 || ihdr_len != 13)
        return err_set(err, E_INVALID, "The PNG has no header.");
    uint32_t width = read_u32(ihdr), height = read_u32(ihdr + 4);
    if (width == 0 || height == 0 || width > PNG_UINT_31_MAX || height > PNG_UINT_31_MAX)
        return err_set(err, E_INVALID, "The PNG header says %u x %u pixels, which cannot be.",
                       width, height);
    header->width = (int)width;
    header->height = (int)height;
    const uint8_t *exif = find_chunk(bytes, len, "eXIf", &exif_len);
    if (exif)
        header->orientation = exif_orientation(exif, exif_len);
    return OK;
}

struct reader {
    png_structp png;
    png_infop info;
    const uint8_t *bytes; /* borrowed */
    size_t len, at;
    uint8_t *row; /* owned; one full row of RGB */
    struct err *err;
    enum status status;
};

typedef enum status body(struct reader *reader, void *argument);

static void on_read(png_structp png, png_bytep out, size_t n)
{
    struct reader *reader = png_get_io_ptr(png);
    if (n > reader->len - reader->at)
        png_error(png, "the file is cut off");
    memcpy(out, reader->bytes + reader->at, n);
    reader->at += n;
}

static void on_error(png_structp png, png_const_charp message)
{
    struct reader *reader = png_get_error_ptr(png);
    reader->status = err_set(reader->err, E_INVALID, "The PNG cannot be decoded: %s.", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* 8-bit RGB whatever is stored: see image.h for which colours. */
static enum status start(struct reader *reader, const struct image_header *header)
{
    png_structp png = reader->png;
    png_set_user_limits(png, (png_uint_32)header->width, (png_uint_32)header->height);
    png_set_chunk_cache_max(png, MAX_CHUNKS);
    png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
    /* -1: every chunk that is not part of the pixels is passed over unread. Some of libpng's
     * readers take memory for the length that such a chunk claims before they look for its bytes.
     */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png, reader->info);
    if (png_get_image_width(png, reader->info) != (png_uint_32)header->width ||
        png_get_image_height(png, reader->info) != (png_uint_32)header->height)
        return err_set(reader->err, E_INVALID, "The PNG is not %d x %d pixels, as its entry says.",
                       header->width, header->height);
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
    return OK;
}

/* The function that errors come back to: nothing of its own may change after setjmp. */
static void attempt(struct reader *reader, body *run, void *argument)
{
    if (setjmp(png_jmpbuf(reader->png)))
        return;
    reader->status = run(reader, argument);
}

static enum status with_reader(const uint8_t *bytes, size_t len, const struct image_header *header,
                               body *run, void *argument, struct err *err)
{
    struct reader reader = {.bytes = bytes, .len = len, .err = err, .status = OK};
    void *row;
    enum status status = mem_try_alloc((size_t)header->width, 3, "a row of the PNG", &row, err);
    if (status)
        return status;
    reader.row = row;
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    reader.info = reader.png ? png_create_info_struct(reader.png) : NULL;
    if (!reader.info) {
        reader.status = err_set(err, E_NO_SPACE, "There is no memory to decode a PNG.");
        goto done;
    }
    png_set_read_fn(reader.png, &reader, on_read);
    attempt(&reader, run, argument);
done:
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    mem_free(reader.row);
    return reader.status;
}

static enum status check_body(struct reader *reader, void *argument)
{
    const struct image_header *header = argument;
    enum status status = start(reader, header);
    if (status)
        return status;
    int passes = png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    for (int64_t i = 0; i < (int64_t)passes * header->height; i++)
        png_read_row(reader->png, reader->row, NULL);
    png_read_end(reader->png, NULL);
    return OK;
}

enum status image_png_check(const uint8_t *bytes, size_t len, const struct image_header *header,
                            struct err *err)
{
    struct image_header copy = *header;
    return with_reader(bytes, len, header, check_body, &copy, err);
}

struct part {
    const struct image_header *header;
    const struct region *region;
    struct image *out;
};

/* Each pass of an interlaced file fills in pixels of a row: those that earlier passes left are put
 * back into the row first. A file that is not interlaced has one pass, and the rest of it is not
 * read. */
static enum status decode_body(struct reader *reader, void *argument)
{
    const struct part *part = argument;
    const struct region *region = part->region;
    enum status status = start(reader, part->header);
    if (status || (status = image_reserve(part->out, region->width, region->height, reader->err)))
        return status;
    int passes = png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    size_t stride = (size_t)region->width * 3;
    uint8_t *columns = reader->row + (size_t)region->x * 3;
    for (int pass = 0; pass < passes; pass++) {
        int rows = pass == passes - 1 ? region->y + region->height : part->header->height;
        for (int y = 0; y < rows; y++) {
            bool wanted = y >= region->y && y < region->y + region->height;
            uint8_t *to = part->out->pixels + (size_t)(wanted ? y - region->y : 0) * stride;
            if (wanted && pass > 0)
                memcpy(columns, to, stride);
            png_read_row(reader->png, reader->row, NULL);
            if (wanted)
                memcpy(to, columns, stride);
        }
    }
    return OK;
}

enum status image_png_decode(const uint8_t *bytes, size_t len, const struct image_header *header,
                             const struct region *region, int shrink, struct image *out,
                             struct err *err)
{
    (void)shrink; /* always 1: image.c's table says so */
    struct part part = {header, region, out};
    return with_reader(bytes, len, header, decode_body, &part, err);
}

static void on_write(png_structp png, png_bytep bytes, size_t n)
{
    if (!buf_append(png_get_io_ptr(png), bytes, n))
        png_error(png, "the buffer is full");
}

static void on_flush(png_structp png)
{
    (void)png;
}

static void write_rows(png_structp png, png_infop info, const uint8_t *pixels, int width,
                       int height)
{
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 3);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
    png_write_info(png, info);
    for (int y = 0; y < height; y++)
        png_write_row(png, pixels + (size_t)y * (size_t)width * 3);
    png_write_end(png, info);
}

enum status image_png_encode(const uint8_t *pixels, int width, int height, struct buf *out,
                             struct err *err)
{
    struct reader reader = {.err = err, .status = OK};
    reader.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    reader.info = reader.png ? png_create_info_struct(reader.png) : NULL;
    if (!reader.info) {
        reader.status = err_set(err, E_NO_SPACE, "There is no memory to encode a PNG.");
    } else if (!setjmp(png_jmpbuf(reader.png))) {
        png_set_write_fn(reader.png, out, on_write, on_flush);
        write_rows(reader.png, reader.info, pixels, width, height);
    }
    png_destroy_write_struct(&reader.png, &reader.info);
    return reader.status;
}
