/* image.c -- see image.h: the table of formats, and turning by EXIF orientation. */
#include "engine/data/image.h"

#include <string.h>

#include "base/mem.h"
#include "engine/data/jpeg.h"
#include "engine/data/png.h"
#include "engine/data/webp.h"

/* How a file begins; '?' stands for any byte. */
struct signature {
    const char *bytes;
    size_t len;
};
#define SIGNATURE(text)                                                                            \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

struct format {
    const char *name;
    struct signature signature;
    int max_shrink;
    enum status (*read_header)(const uint8_t *, size_t, struct image_header *, struct err *);
    enum status (*check)(const uint8_t *, size_t, const struct image_header *, struct err *);
    enum status (*decode)(const uint8_t *, size_t, const struct image_header *,
                          const struct region *, int, struct image *, struct err *);
};

static const struct format formats[N_IMAGE_FORMATS] = {
    [IMAGE_JPEG] = {"jpeg", SIGNATURE("\xff\xd8\xff"), 8, image_jpeg_header, image_jpeg_check,
                    image_jpeg_decode},
    [IMAGE_PNG] = {"png", SIGNATURE("\x89PNG\r\n\x1a\n"), 1, image_png_header, image_png_check,
                   image_png_decode},
    [IMAGE_WEBP] = {"webp", SIGNATURE("RIFF????WEBP"), 1, image_webp_header, image_webp_check,
                    image_webp_decode},
};

/* What people send besides, so that they are told what it is. */
static const struct {
    struct signature signature;
    const char *refusal;
} others[] = {
#define INSTEAD ": send it as JPEG, PNG or WebP."
    {SIGNATURE("GIF8"), "The content is a GIF" INSTEAD},
    {SIGNATURE("II*\0"), "The content is a TIFF" INSTEAD},
    {SIGNATURE("MM\0*"), "The content is a TIFF" INSTEAD},
    {SIGNATURE("????ftypavif"), "The content is an AVIF picture" INSTEAD},
    {SIGNATURE("????ftyphe"), "The content is a HEIC picture, as iPhones take them" INSTEAD},
    {SIGNATURE("????ftypmif1"), "The content is a HEIF picture" INSTEAD},
    {SIGNATURE("????ftyp"), "The content is a video" INSTEAD},
    {SIGNATURE("\0\0\0\x0cJXL "), "The content is a JPEG XL picture" INSTEAD},
    {SIGNATURE("\0\0\0\x0cjP  "), "The content is a JPEG 2000 picture" INSTEAD},
    {SIGNATURE("BM????\0\0\0\0"), "The content is a BMP picture" INSTEAD},
    {SIGNATURE("8BPS"), "The content is a Photoshop file" INSTEAD},
    {SIGNATURE("%PDF"), "The content is a PDF" INSTEAD},
    {SIGNATURE("<svg"), "The content is an SVG drawing" INSTEAD},
    {SIGNATURE("<?xml"), "The content is XML, perhaps an SVG drawing" INSTEAD},
    {SIGNATURE("<!DOCTYPE"), "The content is a web page, not a picture."},
    {SIGNATURE("<html"), "The content is a web page, not a picture."},
#undef INSTEAD
};

const char *image_format_name(enum image_format format)
{
    return formats[format].name;
}

void image_init(struct image *image)
{
    memset(image, 0, sizeof *image);
}

void image_deinit(struct image *image)
{
    mem_free(image->pixels);
    image_init(image);
}

enum status image_reserve(struct image *image, int width, int height, struct err *err)
{
    size_t pixels = (size_t)width * (size_t)height;
    if (pixels > image->capacity) {
        void *larger;
        enum status status = mem_try_alloc(pixels + 1, 3, "the decoded picture", &larger, err);
        if (status)
            return status;
        mem_free(image->pixels);
        image->pixels = larger;
        image->capacity = pixels;
    }
    image->width = width;
    image->height = height;
    return OK;
}

static bool begins_with(const uint8_t *bytes, size_t len, const struct signature *signature)
{
    if (len < signature->len)
        return false;
    for (size_t i = 0; i < signature->len; i++)
        if (signature->bytes[i] != '?' && (uint8_t)signature->bytes[i] != bytes[i])
            return false;
    return true;
}

/* N_IMAGE_FORMATS when there is none. */
static size_t find_format(const void *bytes, size_t len)
{
    size_t format = 0;
    while (format < N_IMAGE_FORMATS && !begins_with(bytes, len, &formats[format].signature))
        format++;
    return format;
}

const char *image_refusal(const void *bytes, size_t len)
{
    if (find_format(bytes, len) < N_IMAGE_FORMATS)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (begins_with(bytes, len, &others[i].signature))
            return others[i].refusal;
    return "The content is neither a JPEG, nor a PNG, nor a WebP picture.";
}

enum status image_read_header(const void *bytes, size_t len, uint64_t max_pixels,
                              struct image_header *header, struct err *err)
{
    size_t format = find_format(bytes, len);
    if (format == N_IMAGE_FORMATS)
        return err_set(err, E_INVALID, "%s", image_refusal(bytes, len));

    struct image_header found = {.orientation = 1};
    enum status status = formats[format].read_header(bytes, len, &found, err);
    if (status)
        return status;
    found.format = (enum image_format)format;
    if ((uint64_t)found.width * (uint64_t)found.height > max_pixels ||
        found.width > IMAGE_MAX_SIDE || found.height > IMAGE_MAX_SIDE)
        return err_set(err, E_INVALID,
                       "The picture is %d x %d pixels, and at most %llu pixels in all and %d on a "
                       "side are accepted; make it smaller.",
                       found.width, found.height, (unsigned long long)max_pixels, IMAGE_MAX_SIDE);
    *header = found;
    return OK;
}

enum status image_check(const void *bytes, size_t len, const struct image_header *header,
                        struct err *err)
{
    return formats[header->format].check(bytes, len, header, err);
}

enum status image_decode(const void *bytes, size_t len, const struct image_header *header,
                         const struct region *region, int shrink, struct image *out,
                         struct err *err)
{
    bool inside = region->x >= 0 && region->y >= 0 && region->width > 0 && region->height > 0 &&
                  region->width <= header->width - region->x &&
                  region->height <= header->height - region->y;
    bool possible = shrink == 1 || ((shrink == 2 || shrink == 4 || shrink == 8) &&
                                    shrink <= formats[header->format].max_shrink);
    if (!inside || !possible)
        return err_set(err, E_INTERNAL,
                       "The part (%d, %d, %d x %d) at 1/%d cannot be taken of a %d x %d picture.",
                       region->x, region->y, region->width, region->height, shrink, header->width,
                       header->height);
    return formats[header->format].decode(bytes, len, header, region, shrink, out, err);
}

int image_best_shrink(enum image_format format, int width, int height, int least_width,
                      int least_height)
{
    int shrink = formats[format].max_shrink;
    while (shrink > 1 && (width / shrink < least_width || height / shrink < least_height))
        shrink /= 2;
    return shrink;
}

/* The eight orientations as one map: the upright pixel (x,y) is the stored pixel (x,y), after both
 * axes were exchanged (transpose) and then, in stored coordinates, mirrored. */
static const struct {
    bool transpose, mirror_x, mirror_y;
} turns[9] = {
    [1] = {false, false, false}, [2] = {false, true, false}, [3] = {false, true, true},
    [4] = {false, false, true},  [5] = {true, false, false}, [6] = {true, false, true},
    [7] = {true, true, true},    [8] = {true, true, false},
};

void image_turned_size(const struct image_header *header, int *width, int *height)
{
    bool transpose = turns[header->orientation].transpose;
    *width = transpose ? header->height : header->width;
    *height = transpose ? header->width : header->height;
}

struct region image_stored_region(const struct image_header *header, const struct region *seen)
{
    struct region stored = *seen;
    if (turns[header->orientation].transpose)
        stored = (struct region){seen->y, seen->x, seen->height, seen->width};
    if (turns[header->orientation].mirror_x)
        stored.x = header->width - stored.x - stored.width;
    if (turns[header->orientation].mirror_y)
        stored.y = header->height - stored.y - stored.height;
    return stored;
}

enum status image_turn(const struct image *in, int orientation, struct image *out, struct err *err)
{
    bool transpose = turns[orientation].transpose;
    int width = transpose ? in->height : in->width, height = transpose ? in->width : in->height;
    enum status status = image_reserve(out, width, height, err);
    if (status)
        return status;
    uint8_t *to = out->pixels;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++, to += 3) {
            int from_x = transpose ? y : x, from_y = transpose ? x : y;
            if (turns[orientation].mirror_x)
                from_x = in->width - 1 - from_x;
            if (turns[orientation].mirror_y)
                from_y = in->height - 1 - from_y;
            memcpy(to, in->pixels + ((size_t)from_y * (size_t)in->width + (size_t)from_x) * 3, 3);
        }
    }
    return OK;
}

struct box image_turn_box(const struct image *in, int orientation, struct box stored)
{
    struct box box = stored;
    if (turns[orientation].mirror_x) {
        box.left = in->width - stored.right;
        box.right = in->width - stored.left;
    }
    if (turns[orientation].mirror_y) {
        box.top = in->height - stored.bottom;
        box.bottom = in->height - stored.top;
    }
    if (turns[orientation].transpose)
        box = (struct box){box.top, box.left, box.bottom, box.right};
    return box;
}
