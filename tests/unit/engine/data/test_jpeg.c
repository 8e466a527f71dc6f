/* Kinds of JPEG that need libjpeg itself to be written: progressive ones, CMYK, scan bombs. */
#include "tests/unit/engine/data/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/mem.h"
#include "engine/data/image.h"
#include "engine/data/jpeg.h"

#define SIDE 48

/* Writes a SIDE x SIDE picture whose value at (x,y,c) is value(x, y, c); `setup` changes the rest.
 */
static void write_jpeg(struct buf *out, J_COLOR_SPACE space, int channels,
                       void (*setup)(struct jpeg_compress_struct *),
                       int (*value)(int x, int y, int c))
{
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr errors;
    unsigned char *file = NULL;
    unsigned long len = 0;
    cinfo.err = jpeg_std_error(&errors);
    jpeg_create_compress(&cinfo);
    jpeg_mem_dest(&cinfo, &file, &len);
    cinfo.image_width = cinfo.image_height = SIDE;
    cinfo.input_components = channels;
    cinfo.in_color_space = space;
    jpeg_set_defaults(&cinfo);
    jpeg_set_quality(&cinfo, 100, TRUE);
    if (setup)
        setup(&cinfo);
    jpeg_start_compress(&cinfo, TRUE);
    for (int y = 0; y < SIDE; y++) {
        JSAMPLE row[SIDE * 4];
        JSAMPROW rows[1] = {row};
        for (int i = 0; i < SIDE * channels; i++)
            row[i] = (JSAMPLE)value(i / channels, y, i % channels);
        jpeg_write_scanlines(&cinfo, rows, 1);
    }
    jpeg_finish_compress(&cinfo);
    jpeg_destroy_compress(&cinfo);
    buf_init(out, 1 << 24);
    buf_append(out, file, len);
    free(file);
}

static int wavy(int x, int y, int c)
{
    return (x * 5 + y * 3 + c * 40) % 200 + 20;
}

/* Ink 0, 64, 128 and black 51 as Adobe's files hold them: 255 - ink. */
static int plain_inks(int x, int y, int c)
{
    static const int inks[4] = {0, 64, 128, 51};
    (void)x;
    (void)y;
    return 255 - inks[c];
}

/* One scan for the averages, then one for each of the other coefficients of each component. */
static void many_scans(struct jpeg_compress_struct *cinfo)
{
    static jpeg_scan_info scans[1 + 3 * 63];
    scans[0] = (jpeg_scan_info){3, {0, 1, 2}, 0, 0, 0, 0};
    for (int i = 0; i < 3 * 63; i++)
        scans[1 + i] = (jpeg_scan_info){1, {i % 3}, 1 + i / 3, 1 + i / 3, 0, 0};
    cinfo->scan_info = scans;
    cinfo->num_scans = 1 + 3 * 63;
}

static enum status check(const struct buf *file, size_t len, struct err *err)
{
    struct image_header header;
    enum status status = image_read_header(file->data, len, IMAGE_MAX_PIXELS, &header, err);
    return status ? status : image_check(file->data, len, &header, err);
}

static void a_progressive_jpeg_decodes(void **state)
{
    (void)state;
    struct buf file;
    struct err err = {0};
    write_jpeg(&file, JCS_RGB, 3, jpeg_simple_progression, wavy);
    assert_int_equal(check(&file, file.len, &err), OK);
    buf_deinit(&file);
}

static void a_progressive_jpeg_without_its_last_scans_is_refused(void **state)
{
    (void)state;
    struct buf file;
    write_jpeg(&file, JCS_RGB, 3, jpeg_simple_progression, wavy);
    for (size_t len = 1; len < file.len - 1; len += 101) {
        struct err err = {0};
        assert_int_equal(check(&file, len, &err), E_INVALID);
    }
    buf_deinit(&file);
}

static void a_progressive_jpeg_of_too_many_scans_is_refused(void **state)
{
    (void)state;
    struct buf file;
    struct err err = {0};
    write_jpeg(&file, JCS_RGB, 3, many_scans, wavy);
    assert_int_equal(check(&file, file.len, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "scans"));
    buf_deinit(&file);
}

static void decode(const struct buf *file, struct image *out)
{
    struct err err = {0};
    struct image_header header;
    struct region whole = {0, 0, SIDE, SIDE};
    image_init(out);
    assert_int_equal(image_read_header(file->data, file->len, IMAGE_MAX_PIXELS, &header, &err), OK);
    if (image_decode(file->data, file->len, &header, &whole, 1, out, &err))
        fail_msg("%s", err.detail);
}

static void cmyk_of_adobe_is_light_where_there_is_no_ink(void **state)
{
    (void)state;
    static const int want[3] = {204, 153, 102}; /* white 204 less its share of each ink */
    struct buf file;
    struct image image;
    struct err err = {0};
    write_jpeg(&file, JCS_CMYK, 4, NULL, plain_inks);
    assert_int_equal(check(&file, file.len, &err), OK);
    decode(&file, &image);
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        assert_in_range(image.pixels[i], want[i % 3] - 2, want[i % 3] + 2);
    image_deinit(&image);
    buf_deinit(&file);
}

static void grey_is_repeated_in_red_green_and_blue(void **state)
{
    (void)state;
    struct buf file;
    struct image image;
    write_jpeg(&file, JCS_GRAYSCALE, 1, NULL, wavy);
    decode(&file, &image);
    for (int i = 0; i < SIDE * SIDE * 3; i += 3) {
        assert_int_equal(image.pixels[i], image.pixels[i + 1]);
        assert_int_equal(image.pixels[i], image.pixels[i + 2]);
        assert_in_range(image.pixels[i], 10, 230);
    }
    image_deinit(&image);
    buf_deinit(&file);
}

static void any_changed_byte_is_refused_or_decodes(void **state)
{
    (void)state;
    struct buf file;
    int seen = 0;
    fixture_jpeg(&file, 4, 1, 32);
    for (size_t at = 2; at < file.len; at++) {
        struct err err = {0};
        file.data[at] = (char)~file.data[at];
        enum status status = check(&file, file.len, &err);
        assert_true(status == OK || status == E_INVALID);
        seen += status == E_INVALID;
        file.data[at] = (char)~file.data[at];
    }
    assert_true(seen > 50);
    buf_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_progressive_jpeg_decodes),
        cmocka_unit_test(a_progressive_jpeg_without_its_last_scans_is_refused),
        cmocka_unit_test(a_progressive_jpeg_of_too_many_scans_is_refused),
        cmocka_unit_test(cmyk_of_adobe_is_light_where_there_is_no_ink),
        cmocka_unit_test(grey_is_repeated_in_red_green_and_blue),
        cmocka_unit_test(any_changed_byte_is_refused_or_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
