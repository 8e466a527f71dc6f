/* fuzz_webp.c -- a WebP file is pixels of the promised size, or a refusal with a sentence. */
#include "tests/fuzz/fuzz_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_header header;
    struct err err;
    if (image_read_header(data, size, FUZZ_MAX_PIXELS, &header, &err) == OK &&
        header.format == IMAGE_WEBP)
        fuzz_image(data, size);
    return 0;
}
