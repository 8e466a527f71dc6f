/* safetensors_write.c -- writing: the header first, then the tensors one by one, then the rename.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/format/safetensors.h"
#include "engine/format/weights_digest.h"

#define ALIGNMENT 8 /* of the data's first byte */

static size_t item_elements(const struct safetensors_item *item)
{
    size_t n = 1;
    for (int i = 0; i < item->n_dims; i++)
        n *= (size_t)item->dims[i];
    return n;
}

static int compare_items(const void *a, const void *b, void *items)
{
    const struct safetensors_item *all = items;
    return strcmp(all[*(const size_t *)a].name, all[*(const size_t *)b].name);
}

/* The items' indices in byte order of their names; owned by the caller. */
static size_t *sort_items(const struct safetensors_content *content)
{
    size_t *order = mem_alloc((content->n_items + 1) * sizeof *order);
    for (size_t i = 0; i < content->n_items; i++)
        order[i] = i;
    qsort_r(order, content->n_items, sizeof *order, compare_items,
            (void *)(uintptr_t)content->items);
    return order;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(json_key(*(const struct json *const *)a),
                  json_key(*(const struct json *const *)b));
}

static void add_metadata(struct json *header, const struct json *metadata)
{
    size_t n = json_len(metadata), i = 0;
    if (n == 0)
        return;
    const struct json **members = mem_alloc(n * sizeof *members);
    json_each(member, metadata) members[i++] = member;
    qsort(members, n, sizeof *members, compare_keys);
    struct json *sorted = json_set_object(header, "__metadata__");
    for (i = 0; i < n; i++)
        json_set_string(sorted, json_key(members[i]), json_as_string(members[i], ""));
    mem_free(members);
}

static void add_item(struct json *header, const struct safetensors_item *item, uint64_t *offset)
{
    struct json *entry = json_set_object(header, item->name);
    json_set_string(entry, "dtype", dtype_name(DTYPE_F32));
    struct json *shape = json_set_array(entry, "shape");
    for (int i = 0; i < item->n_dims; i++)
        json_add_number(shape, (double)item->dims[i]);
    struct json *offsets = json_set_array(entry, "data_offsets");
    json_add_number(offsets, (double)*offset);
    *offset += item_elements(item) * sizeof(float);
    json_add_number(offsets, (double)*offset);
}

/* u64 length | JSON | spaces, so that the data that follows is aligned. */
static enum status make_header(const struct safetensors_content *content, const size_t *order,
                               struct buf *out, struct err *err)
{
    uint64_t length = 0, offset = 0;
    struct json *header = json_new_object();
    add_metadata(header, content->metadata);
    for (size_t i = 0; i < content->n_items; i++)
        add_item(header, &content->items[order[i]], &offset);
    buf_append(out, &length, sizeof length);
    json_print(header, out);
    json_free(header);
    while (out->len % ALIGNMENT != 0 && buf_append(out, " ", 1))
        continue;
    if (out->overflow)
        return err_set(err, E_INVALID, "The model's metadata do not fit into %u bytes.",
                       SAFETENSORS_MAX_HEADER);
    length = out->len - sizeof length;
    memcpy(out->data, &length, sizeof length);
    return OK;
}

static enum status write_tensors(int fd, const struct safetensors_content *content,
                                 const size_t *order, struct weights_digest *digest,
                                 struct err *err)
{
    size_t largest = 1;
    for (size_t i = 0; i < content->n_items; i++) {
        size_t n = item_elements(&content->items[i]);
        largest = n > largest ? n : largest;
    }
    void *plain;
    enum status status =
        mem_try_alloc(largest, sizeof(float), "writing the largest tensor", &plain, err);
    if (status != OK)
        return status;
    for (size_t i = 0; i < content->n_items && status == OK; i++) {
        const struct safetensors_item *item = &content->items[order[i]];
        size_t n_bytes = item_elements(item) * sizeof(float);
        content->fill(content->context, order[i], plain);
        if (digest)
            weights_digest_add(digest, item->name, DTYPE_F32, item->n_dims, item->dims, plain,
                               n_bytes);
        status = fs_write_all(fd, plain, n_bytes, err);
    }
    mem_free(plain);
    return status;
}

static enum status write_file(const char *path, const struct safetensors_content *content,
                              const struct buf *header, const size_t *order,
                              struct weights_digest *digest, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "Creating %s failed", path);
    enum status status = fs_write_all(fd, header->data, header->len, err);
    if (status == OK)
        status = write_tensors(fd, content, order, digest, err);
    if (close(fd) != 0 && status == OK)
        status = err_errno(err, "Writing %s failed", path);
    return status;
}

enum status safetensors_write(const char *path, const struct safetensors_content *content,
                              char hex[SHA256_HEX], struct err *err)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary)
        return err_set(err, E_INVALID, "The path %.64s... is too long.", path);
    struct buf header;
    buf_init(&header, SAFETENSORS_MAX_HEADER);
    struct weights_digest *digest = hex ? weights_digest_new() : NULL;
    size_t *order = sort_items(content);
    enum status status = make_header(content, order, &header, err);
    if (status == OK) {
        status = write_file(temporary, content, &header, order, digest, err);
        if (status == OK)
            status = fs_commit(temporary, path, err);
        if (status != OK)
            unlink(temporary);
    }
    if (status == OK && hex)
        weights_digest_finish(digest, hex);
    weights_digest_free(digest);
    mem_free(order);
    buf_deinit(&header);
    return status;
}
