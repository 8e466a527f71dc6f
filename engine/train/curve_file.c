/* curve_file.c -- one fraction's answers on disk: a line of JSON, then a bit an item. */
#include "engine/train/curve_file.h"

#include <string.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/mem.h"

#define MAX_HEAD  1024u       /* bytes of the first line */
#define MAX_BYTES (16u << 20) /* of a file: a pack's most items, one bit each, and the line */

static size_t bytes_of(int64_t n_bits)
{
    return ((size_t)n_bits + 7) / 8;
}

enum status curve_bits_init(struct curve_bits *bits, int64_t n_items, struct err *err)
{
    *bits = (struct curve_bits){.capacity = n_items};
    void *block;
    enum status status =
        mem_try_alloc(bytes_of(n_items) + 1, 1, "the learning curve's items", &block, err);
    if (status == OK)
        bits->bits = block;
    return status;
}

void curve_bits_deinit(struct curve_bits *bits)
{
    mem_free(bits->bits);
    *bits = (struct curve_bits){0};
}

void curve_bits_push(struct curve_bits *bits, bool right)
{
    if (bits->n == bits->capacity)
        return;
    if (right)
        bits->bits[bits->n / 8] |= (uint8_t)(1u << (bits->n % 8));
    bits->n++;
}

void curve_bits_add(struct curve_bits *bits, const float *logits, const int32_t *labels,
                    int64_t rows, int64_t classes)
{
    for (int64_t row = 0; row < rows; row++) {
        const float *of = logits + row * classes;
        int64_t best = 0;
        for (int64_t i = 1; i < classes; i++)
            if (of[i] > of[best])
                best = i;
        curve_bits_push(bits, best == labels[row]);
    }
}

/* --- A fraction's file: one line of JSON, then the bits --------------------------------------- */

static char *point_path(const char *folder, int index)
{
    return mem_printf("%s/curve-%d.bits", folder, index);
}

static void hex_of(const void *bytes, size_t len, char hex[SHA256_HEX])
{
    uint8_t digest[SHA256_BYTES];
    sha256_bytes(bytes, len, digest);
    digest_hex(digest, sizeof digest, hex);
}

enum status curve_save(const char *folder, const char *run_sha256, const struct curve_point *point,
                       const struct curve_bits *bits, struct err *err)
{
    char hex[SHA256_HEX];
    hex_of(bits->bits, bytes_of(bits->n), hex);
    struct json *head = json_new_object();
    json_set_string(head, "run", run_sha256);
    json_set_number(head, "fraction", point->fraction);
    json_set_integer(head, "n_train", point->n_train);
    json_set_integer(head, "items", bits->n);
    json_set_string(head, "sha256", hex);
    struct buf file;
    buf_init(&file, MAX_BYTES);
    json_print(head, &file);
    buf_puts(&file, "\n");
    buf_append(&file, bits->bits, bytes_of(bits->n));
    char *path = point_path(folder, point->index);
    enum status status = file.overflow
                             ? err_set(err, E_TOO_LARGE, "The learning curve has too many items.")
                             : fs_write_file(path, file.data, file.len, err);
    mem_free(path);
    buf_deinit(&file);
    json_free(head);
    return status;
}

static enum status check_file(struct curve_file *file, const char *run_sha256,
                              const struct json *head, size_t line, struct err *err)
{
    char hex[SHA256_HEX];
    file->point.fraction = json_number(head, "fraction", 0);
    file->point.n_train = json_integer(head, "n_train", 0);
    file->items = json_integer(head, "items", 0);
    file->bits = (const uint8_t *)file->bytes.data + line;
    size_t bytes = file->bytes.len - line;
    if (strcmp(json_string(head, "run", ""), run_sha256) != 0)
        return err_set(err, E_INVALID, "it belongs to another run.");
    hex_of(file->bits, bytes, hex);
    if (file->items < 1 || file->items > (int64_t)MAX_BYTES * 8 || file->point.n_train < 1 ||
        bytes != bytes_of(file->items) || strcmp(hex, json_string(head, "sha256", "")) != 0)
        return err_set(err, E_INVALID, "it is damaged.");
    return OK;
}

static enum status parse_file(struct curve_file *file, const char *run_sha256, struct err *err)
{
    size_t most = file->bytes.len < MAX_HEAD ? file->bytes.len : MAX_HEAD;
    const char *end = memchr(file->bytes.data, '\n', most);
    if (!end)
        return err_set(err, E_INVALID, "it is damaged.");
    size_t line = (size_t)(end - file->bytes.data);
    struct json *head;
    enum status status = json_parse(file->bytes.data, line, &head, err);
    if (status != OK)
        return status;
    status = check_file(file, run_sha256, head, line + 1, err);
    json_free(head);
    return status;
}

enum status curve_file_read(struct curve_file *file, const char *folder, const char *run_sha256,
                            int index, struct err *err)
{
    file->point.index = index;
    buf_init(&file->bytes, MAX_BYTES);
    char *path = point_path(folder, index);
    enum status status = fs_read_file(path, &file->bytes, err);
    if (status == OK)
        status = parse_file(file, run_sha256, err);
    if (status != OK)
        status = err_prefix(err, "The learning curve's file %s cannot be used: ", path);
    mem_free(path);
    return status;
}

bool curve_file_bit(const struct curve_file *file, int64_t item)
{
    return file->bits[item / 8] >> (item % 8) & 1;
}

void curve_file_close(struct curve_file *file)
{
    buf_deinit(&file->bytes);
}
