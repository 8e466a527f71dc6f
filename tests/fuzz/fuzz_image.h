/* fuzz_image.h -- what ingest and the loader do with a picture: header, check, decode a part. */
#ifndef THAW_TESTS_FUZZ_FUZZ_IMAGE_H
#define THAW_TESTS_FUZZ_FUZZ_IMAGE_H

#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "engine/data/image.h"

#define FUZZ_MAX_PIXELS (1u << 20)

/* A part and a shrink that depend on the bytes, so that they vary. */
static inline void fuzz_decode(const uint8_t *data, size_t size, const struct image_header *header)
{
    struct image image, turned;
    struct err err = {0};
    unsigned seed = data[size / 2], width = (unsigned)header->width,
             height = (unsigned)header->height;
    struct region region = {.x = (int)(seed % width), .y = (int)(seed / 2 % height)};
    region.width = (int)(1 + (width - (unsigned)region.x - 1) * (seed % 4) / 3);
    region.height = (int)(1 + (height - (unsigned)region.y - 1) * (seed / 4 % 4) / 3);
    int shrink = image_best_shrink(header->format, region.width, region.height, 1 + (int)seed / 4,
                                   1 + (int)seed / 4);
    image_init(&image);
    image_init(&turned);
    if (image_decode(data, size, header, &region, shrink, &image, &err) != OK) {
        promise(err.detail[0]);
    } else {
        promise(image.width > 0 && image.height > 0 && image.width <= region.width &&
                image.height <= region.height);
        fuzz_touch(image.pixels, (size_t)image.width * (size_t)image.height * 3);
        if (image_turn(&image, header->orientation, &turned, &err) == OK)
            promise((int64_t)turned.width * turned.height == (int64_t)image.width * image.height);
    }
    image_deinit(&image);
    image_deinit(&turned);
}

static inline void fuzz_image(const uint8_t *data, size_t size)
{
    struct image_header header;
    struct err err = {0};
    if (image_read_header(data, size, FUZZ_MAX_PIXELS, &header, &err) != OK) {
        promise(err.detail[0]);
        return;
    }
    promise(header.width > 0 && header.height > 0 && header.orientation >= 1 &&
            header.orientation <= 8 &&
            (uint64_t)header.width * (uint64_t)header.height <= FUZZ_MAX_PIXELS);
    if (image_check(data, size, &header, &err) != OK)
        promise(err.detail[0]);
    fuzz_decode(data, size, &header);
}

#endif
