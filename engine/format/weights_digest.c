/* weights_digest.c -- SHA-256 over named tensors; the header has the encoding. */
#include "engine/format/weights_digest.h"

#include <string.h>

#include "base/mem.h"

struct weights_digest {
    struct sha256 *sha; /* owned */
};

struct weights_digest *weights_digest_new(void)
{
    struct weights_digest *digest = mem_alloc(sizeof *digest);
    digest->sha = sha256_new();
    return digest;
}

void weights_digest_free(struct weights_digest *digest)
{
    if (!digest)
        return;
    sha256_free(digest->sha);
    mem_free(digest);
}

static void add_integer(struct sha256 *sha, uint64_t value, size_t n_bytes)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    sha256_update(sha, bytes, n_bytes);
}

static void add_text(struct sha256 *sha, const char *text)
{
    size_t len = strlen(text);
    add_integer(sha, len, 4);
    sha256_update(sha, text, len);
}

void weights_digest_add(struct weights_digest *digest, const char *name, enum dtype dtype,
                        int n_dims, const int64_t *dims, const void *bytes, size_t n_bytes)
{
    add_text(digest->sha, name);
    add_text(digest->sha, dtype_name(dtype));
    add_integer(digest->sha, (uint64_t)n_dims, 4);
    for (int i = 0; i < n_dims; i++)
        add_integer(digest->sha, (uint64_t)dims[i], 8);
    sha256_update(digest->sha, bytes, n_bytes);
}

void weights_digest_finish(struct weights_digest *digest, char hex[SHA256_HEX])
{
    uint8_t bytes[SHA256_BYTES];
    sha256_finish(digest->sha, bytes);
    digest_hex(bytes, sizeof bytes, hex);
}

static size_t largest_tensor(const struct tensor_source *source)
{
    size_t largest = 1;
    for (size_t i = 0; i < source->n_tensors; i++) {
        const struct tensor_view *view = &source->tensors[i];
        size_t bytes = view->n_elements * dtype_size(view->dtype);
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

enum status weights_sha256(const struct tensor_source *source, char hex[SHA256_HEX],
                           struct err *err)
{
    void *bytes;
    enum status status =
        mem_try_alloc(largest_tensor(source), 1, "the largest tensor of a model", &bytes, err);
    if (status != OK)
        return status;
    struct weights_digest *digest = weights_digest_new();
    for (size_t i = 0; i < source->n_tensors; i++) {
        const struct tensor_view *view = &source->tensors[i];
        tensor_read_raw(view, bytes);
        weights_digest_add(digest, view->name, view->dtype, view->n_dims, view->dims, bytes,
                           view->n_elements * dtype_size(view->dtype));
    }
    weights_digest_finish(digest, hex);
    weights_digest_free(digest);
    mem_free(bytes);
    return OK;
}
