/* jpeg.c -- see jpeg.h.
 *
 * libjpeg reports errors by longjmp. Every use therefore runs as a `body` that owns nothing but
 * what libjpeg's own pools hold, so the jump leaks nothing. */
#include "engine/data/jpeg.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/mem.h"
#include "engine/data/exif.h"

/* A progressive file keeps all its coefficients in memory: 6 bytes a pixel without subsampling. */
#define MAX_MEMORY (1L << 30)
/* Fancy upsampling looks one chroma sample aside, which is at most four pixels: decoding that much
 * more on either side makes a part equal to the same part of the whole. */
#define MARGIN 8

struct decoder {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    bool has_header; /* jpeg_read_header is over */
    struct err *err; /* borrowed */
    enum status status;
};

typedef enum status body(struct decoder *decoder, void *argument);

/* What libjpeg's words mean to whoever sent the file; all others are damage. */
static const struct {
    int code;
    const char *meaning;
} meanings[] = {
    {JERR_INPUT_EMPTY, "the file is cut off"},
    {JERR_INPUT_EOF, "the file is cut off"},
    {JWRN_JPEG_EOF, "the file is cut off"},
    {JWRN_HIT_MARKER, "the file is cut off or damaged"},
    {JERR_NO_IMAGE, "it holds no picture"},
    {JERR_EMPTY_IMAGE, "it holds no picture"},
    {JERR_SOF_UNSUPPORTED, "it is of a rare kind (lossless or hierarchical) that is not read"},
    {JERR_ARITH_NOTIMPL, "it is of a rare kind (arithmetic coding) that is not read"},
    {JERR_BAD_PRECISION, "it has more than 8 bits a colour, which is not read"},
    {JERR_CONVERSION_NOTIMPL, "its colours are of a kind that is not read"},
};

static void on_error(j_common_ptr cinfo)
{
    struct decoder *decoder = cinfo->client_data;
    int code = cinfo->err->msg_code;
    if (code == JERR_OUT_OF_MEMORY) {
        decoder->status = err_set(decoder->err, E_NO_SPACE, "There is no memory to decode a JPEG.");
        longjmp(decoder->failed, 1);
    }
    size_t i = 0;
    while (i < ARRAY_LEN(meanings) && meanings[i].code != code)
        i++;
    char words[JMSG_LENGTH_MAX];
    cinfo->err->format_message(cinfo, words);
    if (i < ARRAY_LEN(meanings))
        decoder->status = err_set(decoder->err, E_INVALID, "The JPEG cannot be decoded: %s.",
                                  meanings[i].meaning);
    else
        decoder->status =
            err_set(decoder->err, E_INVALID,
                    "The JPEG cannot be decoded: its data are damaged (libjpeg: %s).", words);
    longjmp(decoder->failed, 1);
}

/* libjpeg's warnings that mean lost picture data; it would go on with grey. A sequential file that
 * merely lacks its end marker has all of its picture. */
static bool loses_data(j_common_ptr cinfo)
{
    switch (cinfo->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        return true;
    case JWRN_JPEG_EOF: /* in the header libjpeg cannot be asked for scans, and all is lost */
        return !((const struct decoder *)cinfo->client_data)->has_header ||
               jpeg_has_multiple_scans((j_decompress_ptr)cinfo);
    default:
        return false;
    }
}

static void on_message(j_common_ptr cinfo, int level)
{
    if (level < 0 && loses_data(cinfo))
        on_error(cinfo);
}

static void on_progress(j_common_ptr cinfo)
{
    struct decoder *decoder = cinfo->client_data;
    if (((j_decompress_ptr)cinfo)->input_scan_number <= JPEG_MAX_SCANS)
        return;
    decoder->status = err_set(decoder->err, E_INVALID,
                              "The progressive JPEG has more than %d scans, which no camera or "
                              "program writes.",
                              JPEG_MAX_SCANS);
    longjmp(decoder->failed, 1);
}

/* The function that errors come back to: nothing of its own may change after setjmp. */
static void attempt(struct decoder *decoder, const uint8_t *bytes, size_t len, body *run,
                    void *argument)
{
    struct jpeg_decompress_struct *cinfo = &decoder->cinfo;
    if (setjmp(decoder->failed))
        return;
    jpeg_create_decompress(cinfo);
    cinfo->progress = &decoder->progress;
    cinfo->mem->max_memory_to_use = MAX_MEMORY;
    jpeg_mem_src(cinfo, bytes, len);
    jpeg_save_markers(cinfo, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(cinfo, TRUE);
    decoder->has_header = true;
    decoder->status = run(decoder, argument);
}

/* Runs `run` on a decoder that has read the header. */
static enum status with_decoder(const uint8_t *bytes, size_t len, body *run, void *argument,
                                struct err *err)
{
    struct decoder decoder = {.err = err, .status = OK};
    decoder.cinfo.err = jpeg_std_error(&decoder.errors);
    decoder.cinfo.client_data = &decoder;
    decoder.errors.error_exit = on_error;
    decoder.errors.emit_message = on_message;
    decoder.progress.progress_monitor = on_progress;
    attempt(&decoder, bytes, len, run, argument);
    jpeg_destroy_decompress(&decoder.cinfo);
    return decoder.status;
}

static enum status header_body(struct decoder *decoder, void *argument)
{
    struct image_header *header = argument;
    const struct jpeg_decompress_struct *cinfo = &decoder->cinfo;
    header->width = (int)cinfo->image_width;
    header->height = (int)cinfo->image_height;
    for (jpeg_saved_marker_ptr marker = cinfo->marker_list; marker; marker = marker->next) {
        if (marker->data_length < 6 || memcmp(marker->data, "Exif\0", 6) != 0)
            continue;
        header->orientation = exif_orientation(marker->data + 6, marker->data_length - 6);
        break;
    }
    return OK;
}

enum status image_jpeg_header(const uint8_t *bytes, size_t len, struct image_header *header,
                              struct err *err)
{
    return with_decoder(bytes, len, header_body, header, err);
}

/* Rows come as RGB, or as CMYK that pixels_from_cmyk converts. */
static enum status start(struct decoder *decoder, const struct image_header *header, int shrink)
{
    struct jpeg_decompress_struct *cinfo = &decoder->cinfo;
    if ((int)cinfo->image_width != header->width || (int)cinfo->image_height != header->height)
        return err_set(decoder->err, E_INVALID,
                       "The JPEG is %u x %u pixels, where its entry says %d x %d.",
                       cinfo->image_width, cinfo->image_height, header->width, header->height);
    cinfo->out_color_space = cinfo->num_components == 4 ? JCS_CMYK : JCS_RGB;
    cinfo->scale_num = 1;
    cinfo->scale_denom = (unsigned)shrink;
    jpeg_start_decompress(cinfo);
    return OK;
}

/* As PIL reads it: Adobe's files hold 255 - ink. */
static void pixels_from_cmyk(const uint8_t *in, uint8_t *out, int n)
{
    for (int i = 0; i < n; i++, in += 4, out += 3) {
        int white = in[3];
        for (int c = 0; c < 3; c++) {
            int product = (255 - in[c]) * white + 128;
            int value = white - (((product >> 8) + product) >> 8);
            out[c] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

static JSAMPARRAY row_buffer(struct decoder *decoder)
{
    struct jpeg_decompress_struct *cinfo = &decoder->cinfo;
    return cinfo->mem->alloc_sarray((j_common_ptr)cinfo, JPOOL_IMAGE,
                                    cinfo->output_width * (JDIMENSION)cinfo->output_components, 1);
}

struct check {
    const struct image_header *header;
};

static enum status check_body(struct decoder *decoder, void *argument)
{
    struct check *check = argument;
    enum status status = start(decoder, check->header, 1);
    if (status)
        return status;
    JSAMPARRAY row = row_buffer(decoder);
    while (decoder->cinfo.output_scanline < decoder->cinfo.output_height)
        jpeg_read_scanlines(&decoder->cinfo, row, 1);
    return OK;
}

enum status image_jpeg_check(const uint8_t *bytes, size_t len, const struct image_header *header,
                             struct err *err)
{
    struct check check = {header};
    return with_decoder(bytes, len, check_body, &check, err);
}

struct part {
    const struct image_header *header;
    const struct region *region;
    int shrink;
    struct image *out;
};

static int ceil_divide(int a, int b)
{
    return (a + b - 1) / b;
}

static enum status decode_body(struct decoder *decoder, void *argument)
{
    const struct part *part = argument;
    const struct region *region = part->region;
    struct jpeg_decompress_struct *cinfo = &decoder->cinfo;
    enum status status = start(decoder, part->header, part->shrink);
    if (status)
        return status;
    int x = region->x / part->shrink, y = region->y / part->shrink;
    int width = ceil_divide(region->x + region->width, part->shrink) - x;
    int height = ceil_divide(region->y + region->height, part->shrink) - y;
    if ((status = image_reserve(part->out, width, height, decoder->err)))
        return status;

    /* The columns that are decoded: wider than asked for, and aligned by libjpeg. */
    JDIMENSION left = x > MARGIN ? (JDIMENSION)(x - MARGIN) : 0;
    JDIMENSION right = (JDIMENSION)(x + width + MARGIN);
    JDIMENSION columns = (right < cinfo->output_width ? right : cinfo->output_width) - left;
    if (columns < cinfo->output_width)
        jpeg_crop_scanline(cinfo, &left, &columns);
    JSAMPARRAY row = row_buffer(decoder);
    if (y > 0)
        jpeg_skip_scanlines(cinfo, (JDIMENSION)y);

    const uint8_t *first = row[0] + (size_t)(x - (int)left) * (size_t)cinfo->output_components;
    for (int i = 0; i < height; i++) {
        jpeg_read_scanlines(cinfo, row, 1);
        uint8_t *to = part->out->pixels + (size_t)i * (size_t)width * 3;
        if (cinfo->output_components == 4)
            pixels_from_cmyk(first, to, width);
        else
            memcpy(to, first, (size_t)width * 3);
    }
    return OK;
}

enum status image_jpeg_decode(const uint8_t *bytes, size_t len, const struct image_header *header,
                              const struct region *region, int shrink, struct image *out,
                              struct err *err)
{
    struct part part = {header, region, shrink, out};
    return with_decoder(bytes, len, decode_body, &part, err);
}

/* Encoding: only pictures of our own, which libjpeg has no reason to refuse, so its default of
 * ending the program on an error never comes to pass but for memory. */
enum status image_jpeg_encode(const uint8_t *pixels, int width, int height, int quality,
                              struct buf *out, struct err *err)
{
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr errors;
    unsigned char *file = NULL;
    unsigned long file_len = 0;
    cinfo.err = jpeg_std_error(&errors);
    jpeg_create_compress(&cinfo);
    jpeg_mem_dest(&cinfo, &file, &file_len);
    cinfo.image_width = (JDIMENSION)width;
    cinfo.image_height = (JDIMENSION)height;
    cinfo.input_components = 3;
    cinfo.in_color_space = JCS_RGB;
    jpeg_set_defaults(&cinfo);
    jpeg_set_quality(&cinfo, quality, TRUE);
    jpeg_start_compress(&cinfo, TRUE);
    uint8_t *row = mem_alloc((size_t)width * 3); /* libjpeg's rows are not const */
    while (cinfo.next_scanline < cinfo.image_height) {
        memcpy(row, pixels + (size_t)cinfo.next_scanline * (size_t)width * 3, (size_t)width * 3);
        JSAMPROW rows[1] = {row};
        jpeg_write_scanlines(&cinfo, rows, 1);
    }
    jpeg_finish_compress(&cinfo);
    jpeg_destroy_compress(&cinfo);
    mem_free(row);
    bool fits = buf_append(out, file, file_len);
    free(file);
    return fits ? OK : err_set(err, E_TOO_LARGE, "The drawn JPEG is larger than its buffer.");
}
