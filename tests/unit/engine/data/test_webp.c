/* WebP: lossy and lossless pictures decode in whole and in parts; what is damaged, cut off, an
 * animation or of another size than it says is refused. Colours are compared with PIL's in
 * tests/oracle/images.py. */
#include "tests/unit/engine/data/fixture.h"

#include <stdlib.h>
#include <string.h>

#include <webp/encode.h>

#include "base/mem.h"
#include "base/rng.h"

#define WIDTH  61
#define HEIGHT 47

static uint8_t value(int x, int y, int c)
{
    return (uint8_t)(x * 2 + y * c);
}

static void draw(struct buf *webp, bool lossless)
{
    uint8_t pixels[WIDTH * HEIGHT * 3], *file = NULL;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                pixels[(y * WIDTH + x) * 3 + c] = value(x, y, c);
    size_t len = lossless ? WebPEncodeLosslessRGB(pixels, WIDTH, HEIGHT, WIDTH * 3, &file)
                          : WebPEncodeRGB(pixels, WIDTH, HEIGHT, WIDTH * 3, 90, &file);
    assert_true(len > 0);
    buf_init(webp, 1u << 20);
    buf_append(webp, file, len);
    WebPFree(file);
}

static void put_u32(uint8_t *at, size_t number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(number >> 8 * i);
}

/* The same picture in the extended format, with flags and chunks of its own behind it. */
static void extend(struct buf *webp, uint8_t flags, const void *chunks, size_t len)
{
    uint8_t header[30] = "RIFF....WEBPVP8X\12";
    header[20] = flags;
    header[24] = WIDTH - 1;
    header[27] = HEIGHT - 1;
    struct buf extended;
    buf_init(&extended, 1u << 20);
    buf_append(&extended, header, sizeof header);
    buf_append(&extended, webp->data + 12, webp->len - 12);
    buf_append(&extended, chunks, len);
    put_u32((uint8_t *)extended.data + 4, extended.len - 8);
    buf_deinit(webp);
    *webp = extended;
}

static enum status read_header(const struct buf *webp, struct image_header *header, struct err *err)
{
    return image_read_header(webp->data, webp->len, IMAGE_MAX_PIXELS, header, err);
}

static void pictures_decode_in_whole(void **state)
{
    (void)state;
    for (int lossless = 0; lossless < 2; lossless++) {
        struct buf webp;
        struct image_header header;
        struct image out;
        struct err err = {0};
        struct region whole = {0, 0, WIDTH, HEIGHT};
        draw(&webp, lossless);
        image_init(&out);
        assert_int_equal(read_header(&webp, &header, &err), OK);
        assert_int_equal(header.format, IMAGE_WEBP);
        assert_string_equal(image_format_name(header.format), "webp");
        assert_true(header.width == WIDTH && header.height == HEIGHT && header.orientation == 1);
        assert_int_equal(image_check(webp.data, webp.len, &header, &err), OK);
        assert_int_equal(image_best_shrink(header.format, 4000, 4000, 10, 10), 1);
        assert_int_equal(image_decode(webp.data, webp.len, &header, &whole, 1, &out, &err), OK);
        for (int i = 0; i < WIDTH * HEIGHT * 3; i++) {
            int wanted = value(i / 3 % WIDTH, i / 3 / WIDTH, i % 3);
            assert_true(abs(out.pixels[i] - wanted) <= (lossless ? 0 : 16));
        }
        image_deinit(&out);
        buf_deinit(&webp);
    }
}

static void a_part_equals_the_same_part_of_the_whole(void **state)
{
    (void)state;
    struct buf webp;
    struct image_header header;
    struct image all, part;
    struct err err = {0};
    struct region whole = {0, 0, WIDTH, HEIGHT};
    draw(&webp, false);
    image_init(&all);
    image_init(&part);
    assert_int_equal(read_header(&webp, &header, &err), OK);
    assert_int_equal(image_decode(webp.data, webp.len, &header, &whole, 1, &all, &err), OK);
    for (int i = 0; i < 200; i++) {
        struct rng rng = rng_stream("part", 1, (uint64_t)i, 0);
        struct region region = {.x = (int)rng_below(&rng, WIDTH),
                                .y = (int)rng_below(&rng, HEIGHT)};
        region.width = 1 + (int)rng_below(&rng, (uint32_t)(WIDTH - region.x));
        region.height = 1 + (int)rng_below(&rng, (uint32_t)(HEIGHT - region.y));
        assert_int_equal(image_decode(webp.data, webp.len, &header, &region, 1, &part, &err), OK);
        for (int y = 0; y < region.height; y++)
            assert_memory_equal(part.pixels + y * region.width * 3,
                                all.pixels + ((region.y + y) * WIDTH + region.x) * 3,
                                (size_t)region.width * 3);
    }
    image_deinit(&all);
    image_deinit(&part);
    buf_deinit(&webp);
}

static void orientation_is_read_from_exif_with_and_without_its_prefix(void **state)
{
    (void)state;
    static const uint8_t bare[] = {'E', 'X', 'I', 'F', 26, 0, 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1,
                                   0,   18,  1,   3,   0,  1, 0, 0, 0,   6,   0,  0, 0, 0, 0, 0, 0};
    static const uint8_t prefixed[] = {'E', 'X', 'I', 'F', 32, 0, 0, 0, 'E', 'x', 'i', 'f', 0, 0,
                                       'I', 'I', 42,  0,   8,  0, 0, 0, 1,   0,   18,  1,   3, 0,
                                       1,   0,   0,   0,   8,  0, 0, 0, 0,   0,   0,   0};
    const struct {
        const uint8_t *chunk;
        size_t len;
        int wanted;
    } cases[] = {{bare, sizeof bare, 6},
                 {prefixed, sizeof prefixed, 8},
                 {bare, sizeof bare - 2, 1},
                 {NULL, 0, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf webp;
        struct image_header header;
        struct err err = {0};
        draw(&webp, i % 2);
        extend(&webp, 8, cases[i].chunk, cases[i].len);
        if (read_header(&webp, &header, &err))
            fail_msg("%s", err.detail);
        assert_int_equal(header.orientation, cases[i].wanted);
        assert_int_equal(image_check(webp.data, webp.len, &header, &err), OK);
        buf_deinit(&webp);
    }
}

static void an_animation_is_refused_and_told_why(void **state)
{
    (void)state;
    struct buf webp;
    struct image_header header;
    struct err err = {0};
    draw(&webp, false);
    extend(&webp, 2, NULL, 0);
    assert_int_equal(read_header(&webp, &header, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "an animation"));
    buf_deinit(&webp);
}

static void a_file_that_is_cut_off_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    for (int lossless = 0; lossless < 2; lossless++) {
        struct buf webp;
        draw(&webp, lossless);
        for (size_t len = 12; len + 2 < webp.len; len += 13) {
            struct image_header header;
            struct err err = {0};
            enum status status = image_read_header(webp.data, len, IMAGE_MAX_PIXELS, &header, &err);
            if (!status)
                status = image_check(webp.data, len, &header, &err);
            assert_int_equal(status, E_INVALID);
            assert_non_null(strstr(err.detail, "cut off"));
        }
        buf_deinit(&webp);
    }
}

static void any_changed_byte_is_refused_or_decodes(void **state)
{
    (void)state;
    struct image out;
    image_init(&out);
    for (uint64_t i = 0; i < 600; i++) {
        struct rng rng = rng_stream("damage", 2, i, 0);
        struct buf webp;
        struct image_header header;
        struct err err = {0};
        draw(&webp, i % 2);
        webp.data[rng_below(&rng, i % 3 ? (uint32_t)webp.len : 60) % webp.len] ^=
            (char)(1 + rng_below(&rng, 255));
        if (image_read_header(webp.data, webp.len, 1u << 20, &header, &err) == OK) {
            struct region whole = {0, 0, header.width, header.height};
            bool good = image_check(webp.data, webp.len, &header, &err) == OK;
            enum status status = image_decode(webp.data, webp.len, &header, &whole, 1, &out, &err);
            assert_int_equal(status == OK, good); /* what ingest took, training can decode */
        }
        buf_deinit(&webp);
    }
    image_deinit(&out);
}

static void a_header_that_disagrees_with_the_bytes_is_refused(void **state)
{
    (void)state;
    struct buf webp;
    struct image_header header;
    struct err err = {0};
    draw(&webp, true);
    assert_int_equal(read_header(&webp, &header, &err), OK);
    header.height++;
    assert_int_equal(image_check(webp.data, webp.len, &header, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "61 x 47"));
    assert_int_equal(image_read_header(webp.data, webp.len, WIDTH * HEIGHT - 1, &header, &err),
                     E_INVALID);
    buf_deinit(&webp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_decode_in_whole),
        cmocka_unit_test(a_part_equals_the_same_part_of_the_whole),
        cmocka_unit_test(orientation_is_read_from_exif_with_and_without_its_prefix),
        cmocka_unit_test(an_animation_is_refused_and_told_why),
        cmocka_unit_test(a_file_that_is_cut_off_is_refused_wherever_it_is_cut),
        cmocka_unit_test(any_changed_byte_is_refused_or_decodes),
        cmocka_unit_test(a_header_that_disagrees_with_the_bytes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
