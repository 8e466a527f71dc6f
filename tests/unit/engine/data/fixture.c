#include "tests/unit/engine/data/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/jpeg.h"
#include "engine/data/png.h"
#include "engine/data/synth.h"

#define MAX_FILE (64u << 20)

int fixture_folder_make(void **state)
{
    char path[] = "/tmp/thaw-data-XXXXXX";
    *state = mkdtemp(path) ? mem_strdup(path) : NULL;
    return *state ? 0 : -1;
}

int fixture_folder_remove(void **state)
{
    struct err err = {0};
    enum status status = fs_remove_tree(*state, &err);
    mem_free(*state);
    return status ? -1 : 0;
}

char *fixture_path(void **state, const char *name)
{
    return mem_printf("%s/%s", (const char *)*state, name);
}

void fixture_write(const char *path, const void *bytes, size_t len)
{
    struct err err = {0};
    if (fs_write_file(path, bytes, len, &err))
        fail_msg("%s", err.detail);
}

void fixture_read(const char *path, struct buf *out)
{
    struct err err = {0};
    buf_init(out, MAX_FILE);
    if (fs_read_file(path, out, &err))
        fail_msg("%s", err.detail);
}

static uint8_t *draw(size_t label, uint64_t index, int size)
{
    uint8_t *pixels = mem_alloc((size_t)size * (size_t)size * 3);
    synth_draw(synth_find_set("a"), label, 1, index, size, pixels);
    return pixels;
}

void fixture_jpeg(struct buf *out, size_t label, uint64_t index, int size)
{
    struct err err = {0};
    uint8_t *pixels = draw(label, index, size);
    buf_init(out, MAX_FILE);
    assert_int_equal(image_jpeg_encode(pixels, size, size, 90, out, &err), OK);
    mem_free(pixels);
}

void fixture_png(struct buf *out, size_t label, uint64_t index, int size)
{
    struct err err = {0};
    uint8_t *pixels = draw(label, index, size);
    buf_init(out, MAX_FILE);
    assert_int_equal(image_png_encode(pixels, size, size, out, &err), OK);
    mem_free(pixels);
}

void fixture_turn_jpeg(struct buf *jpeg, int orientation)
{
    uint8_t exif[] = {0xff, 0xe1, 0,    34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8,
                      0,    1,    0x01, 18, 0,   3,   0,   0,   0, 1, 0,   0,   0, 0,  0, 0, 0, 0};
    exif[29] = (uint8_t)orientation;
    struct buf turned;
    buf_init(&turned, MAX_FILE);
    buf_append(&turned, jpeg->data, 2);
    buf_append(&turned, exif, sizeof exif);
    buf_append(&turned, jpeg->data + 2, jpeg->len - 2);
    buf_deinit(jpeg);
    *jpeg = turned;
}

static void add_item(struct pack_writer *writer, const struct fixture_item *item, uint32_t number,
                     int size)
{
    static const char *const names[N_SPLITS] = {"train", "valid", "test", "unlabelled"};
    struct err err = {0};
    struct buf file;
    fixture_jpeg(&file, (size_t)(item->label < 0 ? 0 : item->label), number, size);
    struct pack_record record = {.label = item->label,
                                 .split = (uint8_t)item->split,
                                 .format = IMAGE_JPEG,
                                 .orientation = 1,
                                 .width = (uint32_t)size,
                                 .height = (uint32_t)size};
    char *path = mem_printf("%s/%d/%05u.jpg", names[item->split], item->label, number);
    assert_int_equal(pack_writer_add(writer, &record, path, file.data, file.len, &err), OK);
    mem_free(path);
    buf_deinit(&file);
}

static void set_labels(struct pack_writer *writer, uint32_t item, uint32_t bits)
{
    uint32_t labels[32], n = 0;
    struct err err = {0};
    for (uint32_t i = 0; i < 32; i++)
        if (bits >> i & 1)
            labels[n++] = i;
    assert_int_equal(pack_writer_set_labels(writer, item, labels, n, &err), OK);
}

static struct pack *make_pack(void **state, const struct fixture_item *items, const uint32_t *sets,
                              const uint64_t *groups, uint32_t n, uint32_t n_classes, int size)
{
    static const char *const class_names[] = {"a", "b", "c", "d", "e", "f"};
    struct err err = {0};
    struct pack *pack = NULL;
    char *pack_path = fixture_path(state, "pack"), *index_path = fixture_path(state, "index");
    int pack_fd = open(pack_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int index_fd = open(index_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct pack_writer *writer = pack_writer_new(pack_fd, index_fd);
    for (uint32_t i = 0; i < n; i++) {
        add_item(writer, items ? &items[i] : &(struct fixture_item){SPLIT_TRAIN, 0}, i, size);
        if (sets)
            set_labels(writer, i, sets[i]);
    }
    for (uint32_t i = 0; groups && i < n; i++)
        assert_int_equal(pack_writer_set_group(writer, i, groups[i], &err), OK);
    assert_int_equal(pack_writer_finish(writer, class_names, n_classes, &err), OK);
    pack_writer_free(writer);
    if (pack_open(pack_path, index_path, &pack, &err))
        fail_msg("%s", err.detail);
    close(pack_fd);
    close(index_fd);
    mem_free(pack_path);
    mem_free(index_path);
    return pack;
}

struct pack *fixture_pack(void **state, const struct fixture_item *items, uint32_t n,
                          uint32_t n_classes, int size)
{
    return make_pack(state, items, NULL, NULL, n, n_classes, size);
}

struct pack *fixture_grouped_pack(void **state, const struct fixture_item *items,
                                  const uint64_t *groups, uint32_t n, uint32_t n_classes, int size)
{
    return make_pack(state, items, NULL, groups, n, n_classes, size);
}

struct pack *fixture_multilabel_pack(void **state, const uint32_t *sets, uint32_t n,
                                     uint32_t n_classes, int size)
{
    return make_pack(state, NULL, sets, NULL, n, n_classes, size);
}

void fixture_tar_add(struct buf *tar, const char *name, char kind, const void *bytes, size_t len)
{
    static const char zeros[512];
    char header[512] = {0};
    unsigned sum = 0;
    snprintf(header, 100, "%s", name);
    snprintf(header + 100, 8, "0000644");
    snprintf(header + 124, 12, "%011o", (unsigned)len);
    snprintf(header + 136, 12, "%011o", 0u);
    memset(header + 148, ' ', 8);
    header[156] = kind;
    if (kind == '1' || kind == '2')
        snprintf(header + 157, 100, "/etc/passwd");
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    for (size_t i = 0; i < sizeof header; i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    buf_append(tar, header, sizeof header);
    if (len)
        buf_append(tar, bytes, len);
    buf_append(tar, zeros, (512 - len % 512) % 512);
}

void fixture_tar_end(struct buf *tar)
{
    static const char zeros[1024];
    buf_append(tar, zeros, sizeof zeros);
}
