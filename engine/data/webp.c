/* webp.c -- see webp.h. A file is RIFF: "RIFF", its length, "WEBP", then chunks of a name, a length
 * and content, padded to even. libwebp reads the picture, this file looks for EXIF. */
#include "engine/data/webp.h"

#include <string.h>

#include <webp/decode.h>

#include "engine/data/exif.h"

#define RIFF_HEADER  12
#define CHUNK_HEADER 8
/* Upsampling of colours looks at the neighbouring sample, which is two pixels: decoding that much
 * more on either side, and beginning at an even pixel as libwebp does, makes a part equal to the
 * same part of the whole. */
#define MARGIN 2

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The content of the chunk `name`, or NULL. */
static const uint8_t *find_chunk(const uint8_t *bytes, size_t len, const char *name,
                                 size_t *chunk_len)
{
    size_t at = RIFF_HEADER;
    while (len > at && len - at >= CHUNK_HEADER) {
        size_t size = read_u32(bytes + at + 4);
        if (size > len - at - CHUNK_HEADER)
            return NULL;
        if (memcmp(bytes + at, name, 4) == 0) {
            *chunk_len = size;
            return bytes + at + CHUNK_HEADER;
        }
        at += CHUNK_HEADER + size + size % 2;
    }
    return NULL;
}

static int find_orientation(const uint8_t *bytes, size_t len)
{
    size_t n;
    const uint8_t *exif = find_chunk(bytes, len, "EXIF", &n);
    if (!exif)
        return 1;
    if (n >= 6 && memcmp(exif, "Exif\0", 6) == 0) /* as in a JPEG; some programs keep it */
        return exif_orientation(exif + 6, n - 6);
    return exif_orientation(exif, n);
}

static enum status refuse(VP8StatusCode code, struct err *err)
{
    static const char *const reasons[] = {
        [VP8_STATUS_INVALID_PARAM] = "libwebp cannot read it",
        [VP8_STATUS_BITSTREAM_ERROR] = "its data are damaged",
        [VP8_STATUS_UNSUPPORTED_FEATURE] = "it uses a feature that libwebp does not know",
        [VP8_STATUS_SUSPENDED] = "the file is cut off",
        [VP8_STATUS_USER_ABORT] = "libwebp gave up",
        [VP8_STATUS_NOT_ENOUGH_DATA] = "the file is cut off",
    };
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return err_set(err, E_NO_SPACE, "There is no memory to decode a WebP.");
    return err_set(err, E_INVALID, "The WebP cannot be decoded: %s.", reasons[code]);
}

/* What the header says. libwebp promises sides of 1..16383 (16777216 for what names a canvas, and
 * a picture of another size than its canvas is an error of its). */
static enum status read_features(const uint8_t *bytes, size_t len, WebPBitstreamFeatures *features,
                                 struct err *err)
{
    VP8StatusCode code = WebPGetFeatures(bytes, len, features);
    if (code != VP8_STATUS_OK)
        return refuse(code, err);
    if (features->has_animation)
        return err_set(err, E_INVALID,
                       "The WebP is an animation, and still pictures are read: save the frame that "
                       "is meant as one.");
    if (features->width < 1 || features->height < 1)
        return err_set(err, E_INVALID, "The WebP header says %d x %d pixels, which cannot be.",
                       features->width, features->height);
    return OK;
}

enum status image_webp_header(const uint8_t *bytes, size_t len, struct image_header *header,
                              struct err *err)
{
    WebPBitstreamFeatures features;
    enum status status = read_features(bytes, len, &features, err);
    if (status)
        return status;
    header->width = features.width;
    header->height = features.height;
    header->orientation = find_orientation(bytes, len);
    return OK;
}

/* Decodes a part as RGB into config->output, which the caller frees whatever this returns. The
 * part's corner is even. */
static enum status decode_part(const uint8_t *bytes, size_t len, const struct image_header *header,
                               const struct region *part, WebPDecoderConfig *config,
                               struct err *err)
{
    if (!WebPInitDecoderConfig(config))
        return err_set(err, E_INTERNAL, "libwebp is not the version that this was built with.");
    enum status status = read_features(bytes, len, &config->input, err);
    if (status)
        return status;
    if (config->input.width != header->width || config->input.height != header->height)
        return err_set(err, E_INVALID, "The WebP is %d x %d pixels, where its entry says %d x %d.",
                       config->input.width, config->input.height, header->width, header->height);
    config->output.colorspace = MODE_RGB;
    config->options.use_cropping = 1;
    config->options.crop_left = part->x;
    config->options.crop_top = part->y;
    config->options.crop_width = part->width;
    config->options.crop_height = part->height;
    VP8StatusCode code = WebPDecode(bytes, len, config);
    return code == VP8_STATUS_OK ? OK : refuse(code, err);
}

/* The last row alone is kept, but all before it have to be decoded for it. */
enum status image_webp_check(const uint8_t *bytes, size_t len, const struct image_header *header,
                             struct err *err)
{
    WebPDecoderConfig config = {0};
    int last = (header->height - 1) & ~1;
    struct region part = {0, last, header->width, header->height - last};
    enum status status = decode_part(bytes, len, header, &part, &config, err);
    WebPFreeDecBuffer(&config.output);
    return status;
}

/* At least MARGIN more on every side where there is, from an even pixel on. */
static void widen(int at, int n, int size, int *wider_at, int *wider_n)
{
    int end = at + n + MARGIN;
    *wider_at = at > MARGIN ? (at - MARGIN) & ~1 : 0;
    *wider_n = (end < size ? end : size) - *wider_at;
}

enum status image_webp_decode(const uint8_t *bytes, size_t len, const struct image_header *header,
                              const struct region *region, int shrink, struct image *out,
                              struct err *err)
{
    (void)shrink; /* always 1: image.c's table says so */
    WebPDecoderConfig config = {0};
    struct region part;
    widen(region->x, region->width, header->width, &part.x, &part.width);
    widen(region->y, region->height, header->height, &part.y, &part.height);
    enum status status = decode_part(bytes, len, header, &part, &config, err);
    if (!status)
        status = image_reserve(out, region->width, region->height, err);
    if (!status) {
        const WebPRGBABuffer *rgb = &config.output.u.RGBA;
        size_t stride = (size_t)region->width * 3;
        const uint8_t *from = rgb->rgba + (size_t)(region->y - part.y) * (size_t)rgb->stride +
                              (size_t)(region->x - part.x) * 3;
        for (int y = 0; y < region->height; y++, from += rgb->stride)
            memcpy(out->pixels + (size_t)y * stride, from, stride);
    }
    WebPFreeDecBuffer(&config.output);
    return status;
}
