/* Pictures: headers, limits, damage, parts, turns. Equality with PIL is tests/oracle/images.py's.
 */
#include "tests/unit/engine/data/fixture.h"

#include <string.h>

#include <png.h>

#include "base/mem.h"
#include "engine/data/exif.h"
#include "engine/data/image.h"
#include "engine/data/png.h"

static enum status read_header(const struct buf *file, struct image_header *header, struct err *err)
{
    return image_read_header(file->data, file->len, IMAGE_MAX_PIXELS, header, err);
}

static void decode_part(const struct buf *file, struct region region, int shrink, struct image *out)
{
    struct err err = {0};
    struct image_header header;
    image_init(out);
    assert_int_equal(read_header(file, &header, &err), OK);
    if (image_decode(file->data, file->len, &header, &region, shrink, out, &err))
        fail_msg("%s", err.detail);
}

static void decode(const struct buf *file, struct image *out)
{
    struct err err = {0};
    struct image_header header;
    assert_int_equal(read_header(file, &header, &err), OK);
    decode_part(file, (struct region){0, 0, header.width, header.height}, 1, out);
}

/* A file that must be refused, by its header or by its data. Returns the sentence. */
static const char *refused(const void *bytes, size_t len, struct err *err)
{
    struct image_header header;
    enum status status = image_read_header(bytes, len, IMAGE_MAX_PIXELS, &header, err);
    if (!status)
        status = image_check(bytes, len, &header, err);
    assert_int_equal(status, E_INVALID);
    return err->detail;
}

static void sizes_and_formats_are_read_from_headers(void **state)
{
    (void)state;
    struct buf jpeg, png;
    struct image_header header;
    struct err err = {0};
    fixture_jpeg(&jpeg, 0, 0, 48);
    fixture_png(&png, 0, 0, 31);
    assert_int_equal(read_header(&jpeg, &header, &err), OK);
    assert_int_equal(header.format, IMAGE_JPEG);
    assert_int_equal(header.width, 48);
    assert_int_equal(header.orientation, 1);
    assert_int_equal(image_check(jpeg.data, jpeg.len, &header, &err), OK);
    assert_int_equal(read_header(&png, &header, &err), OK);
    assert_int_equal(header.format, IMAGE_PNG);
    assert_int_equal(header.height, 31);
    assert_int_equal(image_check(png.data, png.len, &header, &err), OK);
    assert_string_equal(image_format_name(IMAGE_PNG), "png");
    buf_deinit(&jpeg);
    buf_deinit(&png);
}

static void a_png_is_decoded_to_the_pixels_it_was_made_of(void **state)
{
    (void)state;
    struct buf png;
    struct image whole, part;
    struct err err = {0};
    uint8_t pixels[40 * 40 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i / 7);
    buf_init(&png, 1 << 20);
    assert_int_equal(image_png_encode(pixels, 40, 40, &png, &err), OK);
    decode(&png, &whole);
    assert_memory_equal(whole.pixels, pixels, sizeof pixels);
    decode_part(&png, (struct region){7, 5, 20, 30}, 1, &part);
    for (int y = 0; y < 30; y++)
        assert_memory_equal(part.pixels + y * 60, pixels + ((y + 5) * 40 + 7) * 3, 60);
    image_deinit(&whole);
    image_deinit(&part);
    buf_deinit(&png);
}

static void a_part_of_a_jpeg_equals_the_same_part_of_the_whole(void **state)
{
    (void)state;
    struct buf jpeg;
    fixture_jpeg(&jpeg, 1, 3, 100);
    for (int shrink = 1; shrink <= 8; shrink *= 2) {
        struct image whole, part;
        int side = (100 + shrink - 1) / shrink, left = 33 / shrink, top = 17 / shrink;
        decode_part(&jpeg, (struct region){0, 0, 100, 100}, shrink, &whole);
        decode_part(&jpeg, (struct region){33, 17, 40, 50}, shrink, &part);
        assert_int_equal(whole.width, side);
        assert_int_equal(part.width, (73 + shrink - 1) / shrink - left);
        for (int y = 0; y < part.height; y++)
            assert_memory_equal(part.pixels + y * part.width * 3,
                                whole.pixels + ((y + top) * side + left) * 3,
                                (size_t)part.width * 3);
        image_deinit(&whole);
        image_deinit(&part);
    }
    buf_deinit(&jpeg);
}

static void parts_outside_and_impossible_scales_are_refused(void **state)
{
    (void)state;
    static const struct region wrong[] = {
        {-1, 0, 10, 10}, {0, 0, 41, 10}, {30, 0, 11, 1}, {0, 40, 1, 1}, {0, 0, 0, 1}};
    struct buf jpeg, png;
    struct image_header header;
    struct image out;
    struct err err = {0};
    struct region whole = {0, 0, 40, 40};
    image_init(&out);
    fixture_jpeg(&jpeg, 0, 0, 40);
    fixture_png(&png, 0, 0, 40);
    assert_int_equal(read_header(&jpeg, &header, &err), OK);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(image_decode(jpeg.data, jpeg.len, &header, &wrong[i], 1, &out, &err),
                         E_INTERNAL);
    assert_int_equal(image_decode(jpeg.data, jpeg.len, &header, &whole, 3, &out, &err), E_INTERNAL);
    assert_int_equal(read_header(&png, &header, &err), OK);
    assert_int_equal(image_decode(png.data, png.len, &header, &whole, 2, &out, &err), E_INTERNAL);
    image_deinit(&out);
    buf_deinit(&jpeg);
    buf_deinit(&png);
}

static void a_jpeg_is_shrunk_no_further_than_what_is_needed(void **state)
{
    (void)state;
    assert_int_equal(image_best_shrink(IMAGE_JPEG, 500, 400, 224, 224), 1);
    assert_int_equal(image_best_shrink(IMAGE_JPEG, 500, 448, 224, 224), 2);
    assert_int_equal(image_best_shrink(IMAGE_JPEG, 4000, 3000, 224, 224), 8);
    assert_int_equal(image_best_shrink(IMAGE_JPEG, 10, 10, 224, 224), 1);
    assert_int_equal(image_best_shrink(IMAGE_PNG, 4000, 3000, 224, 224), 1);
}

/* --- Orientation ---------------------------------------------------------------------------- */

/* What is seen of the picture stored as "abc" over "def", row by row, for each value of the tag. */
static const char *const upright[9] = {NULL,     "abcdef", "cbafed", "fedcba", "defabc",
                                       "adbecf", "daebfc", "fcebda", "cfbead"};

static void every_orientation_is_turned_upright(void **state)
{
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct err err = {0};
        struct image in, out;
        struct image_header header = {.width = 3, .height = 2, .orientation = orientation};
        int width, height;
        image_init(&in);
        image_init(&out);
        assert_int_equal(image_reserve(&in, 3, 2, &err), OK);
        for (int i = 0; i < 18; i++)
            in.pixels[i] = (uint8_t)("abcdef"[i / 3]);
        assert_int_equal(image_turn(&in, orientation, &out, &err), OK);
        image_turned_size(&header, &width, &height);
        assert_int_equal(out.width, width);
        assert_int_equal(width, orientation >= 5 ? 2 : 3);
        for (int i = 0; i < 6; i++)
            assert_int_equal(out.pixels[i * 3], upright[orientation][i]);
        image_deinit(&in);
        image_deinit(&out);
    }
}

static void a_region_and_its_box_go_where_the_pixels_go(void **state)
{
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct err err = {0};
        struct image in, out;
        struct image_header header = {.width = 7, .height = 5, .orientation = orientation};
        struct region seen = {1, 2, 3, 2};
        image_init(&in);
        image_init(&out);
        assert_int_equal(image_reserve(&in, 7, 5, &err), OK);
        memset(in.pixels, 0, 7 * 5 * 3);
        struct region stored = image_stored_region(&header, &seen);
        for (int y = stored.y; y < stored.y + stored.height; y++)
            for (int x = stored.x; x < stored.x + stored.width; x++)
                in.pixels[(y * 7 + x) * 3] = 1;
        assert_int_equal(image_turn(&in, orientation, &out, &err), OK);
        for (int y = 0; y < out.height; y++)
            for (int x = 0; x < out.width; x++)
                assert_int_equal(out.pixels[(y * out.width + x) * 3],
                                 x >= 1 && x < 4 && y >= 2 && y < 4);
        struct box box = {stored.x, stored.y, stored.x + stored.width, stored.y + stored.height};
        box = image_turn_box(&in, orientation, box);
        assert_true(box.left == 1 && box.top == 2 && box.right == 4 && box.bottom == 4);
        image_deinit(&in);
        image_deinit(&out);
    }
}

static void the_orientation_of_a_jpeg_is_read_from_its_exif(void **state)
{
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct buf jpeg;
        struct image_header header;
        struct err err = {0};
        fixture_jpeg(&jpeg, 0, 0, 16);
        fixture_turn_jpeg(&jpeg, orientation);
        assert_int_equal(read_header(&jpeg, &header, &err), OK);
        assert_int_equal(header.orientation, orientation);
        buf_deinit(&jpeg);
    }
}

static void damaged_exif_means_upright(void **state)
{
    (void)state;
    static const uint8_t good[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
                                   18,  1,   3,  0, 1, 0, 0, 0, 6, 0};
    assert_int_equal(exif_orientation(good, sizeof good), 6);
    for (size_t len = 0; len < sizeof good - 1; len++)
        assert_int_equal(exif_orientation(good, len), 1);
    static const struct {
        size_t at;
        uint8_t value;
    } damages[] = {{0, 'X'}, {2, 43}, {4, 200}, {7, 255}, {12, 4}, {18, 9}, {18, 0}, {19, 1}};
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        uint8_t bad[sizeof good];
        memcpy(bad, good, sizeof good);
        bad[damages[i].at] = damages[i].value;
        assert_int_equal(exif_orientation(bad, sizeof bad), 1);
    }
}

/* --- Damage and limits ---------------------------------------------------------------------- */

static void other_content_is_no_picture(void **state)
{
    (void)state;
    struct err err = {0};
    assert_non_null(strstr(refused("hello, world", 12, &err), "neither a JPEG, nor a PNG"));
    refused("", 0, &err);
    refused("\xff\xd8", 2, &err);
    refused("\xff\xd8\xff", 3, &err);
    refused("\x89PNG\r\n\x1a\n", 8, &err);
    assert_non_null(strstr(refused("GIF89a", 6, &err), "a GIF"));
    assert_non_null(strstr(refused("\0\0\0\x18"
                                   "ftypheic",
                                   12, &err),
                           "HEIC"));
    assert_non_null(strstr(refused("II*\0", 4, &err), "a TIFF"));
    assert_non_null(strstr(refused("BMX is a word", 13, &err), "neither a JPEG"));
}

static void a_truncated_jpeg_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    struct buf jpeg;
    fixture_jpeg(&jpeg, 2, 2, 64);
    for (size_t len = 0; len < jpeg.len - 8; len += 37) {
        struct err err = {0};
        refused(jpeg.data, len, &err);
    }
    buf_deinit(&jpeg);
}

static void a_jpeg_that_lacks_its_end_marker_alone_is_whole(void **state)
{
    (void)state;
    struct buf jpeg;
    struct image_header header;
    struct err err = {0};
    fixture_jpeg(&jpeg, 2, 2, 64);
    assert_int_equal(read_header(&jpeg, &header, &err), OK);
    assert_int_equal(image_check(jpeg.data, jpeg.len - 2, &header, &err), OK);
    buf_deinit(&jpeg);
}

static void a_truncated_png_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    struct buf png;
    fixture_png(&png, 2, 2, 48);
    for (size_t len = 0; len < png.len; len += 29) {
        struct err err = {0};
        refused(png.data, len, &err);
    }
    buf_deinit(&png);
}

static void a_png_with_a_changed_byte_is_refused(void **state)
{
    (void)state;
    struct buf png;
    struct err err = {0};
    fixture_png(&png, 2, 2, 48);
    png.data[png.len / 2] ^= 4;
    refused(png.data, png.len, &err);
    buf_deinit(&png);
}

static void thirty_thousand_by_thirty_thousand_pixels_are_refused_by_the_header(void **state)
{
    (void)state;
    static const uint8_t header_only[] = {0x89, 'P',  'N', 'G', '\r', '\n', 0x1a, '\n', 0,    0, 0,
                                          13,   'I',  'H', 'D', 'R',  0,    0,    0x75, 0x30, 0, 0,
                                          0x75, 0x30, 8,   2,   0,    0,    0,    0,    0,    0, 0};
    struct err err = {0};
    const char *said = refused(header_only, sizeof header_only, &err);
    assert_non_null(strstr(said, "30000 x 30000"));
    assert_non_null(strstr(said, "100000000"));
}

static void the_pixel_limit_is_exact(void **state)
{
    (void)state;
    struct buf jpeg;
    struct image_header header;
    struct err err = {0};
    fixture_jpeg(&jpeg, 0, 0, 50);
    assert_int_equal(image_read_header(jpeg.data, jpeg.len, 2500, &header, &err), OK);
    assert_int_equal(image_read_header(jpeg.data, jpeg.len, 2499, &header, &err), E_INVALID);
    buf_deinit(&jpeg);
}

static void a_header_that_disagrees_with_the_bytes_is_refused(void **state)
{
    (void)state;
    struct buf files[2];
    fixture_jpeg(&files[0], 0, 0, 40);
    fixture_png(&files[1], 0, 0, 40);
    for (int i = 0; i < 2; i++) {
        struct image_header header;
        struct image out;
        struct err err = {0};
        struct region region = {0, 0, 60, 60};
        image_init(&out);
        assert_int_equal(read_header(&files[i], &header, &err), OK);
        header.width = header.height = 60;
        assert_int_equal(image_decode(files[i].data, files[i].len, &header, &region, 1, &out, &err),
                         E_INVALID);
        assert_int_equal(image_check(files[i].data, files[i].len, &header, &err), E_INVALID);
        image_deinit(&out);
        buf_deinit(&files[i]);
    }
}

/* --- PNGs that only libpng itself can write ------------------------------------------------- */

static void append(png_structp png, png_bytep bytes, size_t n)
{
    buf_append(png_get_io_ptr(png), bytes, n);
}

/* 16 bits a value, interlaced or not; value(x,y,c) big-endian is (8x + y, 255 - c). */
static void write_deep_png(struct buf *out, int colour, int channels, int interlace)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_byte rows[19][23 * 8];
    png_bytep pointers[19];
    for (int y = 0; y < 19; y++) {
        pointers[y] = rows[y];
        for (int i = 0; i < 23 * channels; i++) {
            rows[y][2 * i] = (png_byte)(8 * (i / channels) + y);
            rows[y][2 * i + 1] = (png_byte)(255 - i % channels);
        }
    }
    buf_init(out, 1 << 20);
    png_set_write_fn(png, out, append, NULL);
    png_set_IHDR(png, info, 23, 19, 16, colour, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_write_image(png, pointers);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

static void sixteen_bits_keep_the_high_byte_interlaced_or_not(void **state)
{
    (void)state;
    static const struct {
        int colour, channels;
    } kinds[] = {{PNG_COLOR_TYPE_GRAY, 1},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, 2},
                 {PNG_COLOR_TYPE_RGB, 3},
                 {PNG_COLOR_TYPE_RGB_ALPHA, 4}};
    for (size_t i = 0; i < 2 * ARRAY_LEN(kinds); i++) {
        struct buf png;
        struct image image, part;
        struct image_header header;
        struct err err = {0};
        write_deep_png(&png, kinds[i / 2].colour, kinds[i / 2].channels,
                       i % 2 ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE);
        assert_int_equal(read_header(&png, &header, &err), OK);
        assert_int_equal(image_check(png.data, png.len, &header, &err), OK);
        decode(&png, &image);
        decode_part(&png, (struct region){5, 3, 11, 13}, 1, &part);
        for (int y = 0; y < 19; y++)
            for (int x = 0; x < 23 * 3; x++)
                assert_int_equal(image.pixels[y * 23 * 3 + x], (uint8_t)(8 * (x / 3) + y));
        for (int y = 0; y < 13; y++)
            assert_memory_equal(part.pixels + y * 33, image.pixels + ((y + 3) * 23 + 5) * 3, 33);
        image_deinit(&image);
        image_deinit(&part);
        buf_deinit(&png);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_formats_are_read_from_headers),
        cmocka_unit_test(a_png_is_decoded_to_the_pixels_it_was_made_of),
        cmocka_unit_test(a_part_of_a_jpeg_equals_the_same_part_of_the_whole),
        cmocka_unit_test(parts_outside_and_impossible_scales_are_refused),
        cmocka_unit_test(a_jpeg_is_shrunk_no_further_than_what_is_needed),
        cmocka_unit_test(every_orientation_is_turned_upright),
        cmocka_unit_test(a_region_and_its_box_go_where_the_pixels_go),
        cmocka_unit_test(the_orientation_of_a_jpeg_is_read_from_its_exif),
        cmocka_unit_test(damaged_exif_means_upright),
        cmocka_unit_test(other_content_is_no_picture),
        cmocka_unit_test(a_truncated_jpeg_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_jpeg_that_lacks_its_end_marker_alone_is_whole),
        cmocka_unit_test(a_truncated_png_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_png_with_a_changed_byte_is_refused),
        cmocka_unit_test(thirty_thousand_by_thirty_thousand_pixels_are_refused_by_the_header),
        cmocka_unit_test(the_pixel_limit_is_exact),
        cmocka_unit_test(a_header_that_disagrees_with_the_bytes_is_refused),
        cmocka_unit_test(sixteen_bits_keep_the_high_byte_interlaced_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
