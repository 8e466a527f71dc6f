/* torch_write.c -- data.pkl is a program for Python's pickle machine (protocol 2): for each tensor
 * a call of torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks).
 */
#include "engine/format/torch_write.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/format/zip_write.h"

#define FOLDER     "archive/" /* as torch calls it */
#define MAX_PICKLE (16u << 20)
#define PIECE      (1u << 20)

static size_t count(const struct torch_item *item)
{
    size_t n = 1;
    for (int i = 0; i < item->n_dims; i++)
        n *= (size_t)item->dims[i];
    return n;
}

static const struct torch_item *find_storage(const struct torch_content *content, size_t storage)
{
    for (size_t i = 0; i < content->n_items; i++)
        if (content->items[i].storage == storage)
            return &content->items[i];
    return NULL;
}

/* --- The pickle ------------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    buf_append(out, "X", 1); /* BINUNICODE */
    buf_append(out, &len, sizeof len);
    buf_append(out, text, len);
}

static void put_integer(struct buf *out, int64_t value)
{
    if (value >= 0 && value <= INT32_MAX) {
        int32_t small = (int32_t)value;
        buf_append(out, "J", 1); /* BININT */
        buf_append(out, &small, sizeof small);
    } else {
        buf_append(out, "\x8a\x08", 2); /* LONG1 of 8 bytes */
        buf_append(out, &value, sizeof value);
    }
}

static void put_storage(struct buf *out, const struct torch_item *item)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", item->storage);
    buf_puts(out, "(");
    put_text(out, "storage");
    buf_puts(out, "ctorch\nFloatStorage\n");
    put_text(out, key);
    put_text(out, "cpu");
    put_integer(out, (int64_t)count(item));
    buf_puts(out, "tQ"); /* TUPLE, BINPERSID */
}

static void put_tensor(struct buf *out, const struct torch_item *item)
{
    put_text(out, item->name);
    buf_puts(out, "ctorch._utils\n_rebuild_tensor_v2\n(");
    put_storage(out, item);
    put_integer(out, 0); /* offset */
    buf_puts(out, "(");
    for (int i = 0; i < item->n_dims; i++)
        put_integer(out, item->dims[i]);
    buf_puts(out, "t(");
    for (int i = 0; i < item->n_dims; i++) {
        int64_t stride = 1;
        for (int k = i + 1; k < item->n_dims; k++)
            stride *= item->dims[k];
        put_integer(out, stride);
    }
    buf_puts(out, "t\x89" /* requires_grad: NEWFALSE */ "ccollections\nOrderedDict\n)RtR");
}

static enum status write_pickle(struct zip_writer *zip, const struct torch_content *content,
                                struct err *err)
{
    struct buf out;
    buf_init(&out, MAX_PICKLE);
    buf_append(&out, "\x80\x02", 2);
    buf_puts(&out, "ccollections\nOrderedDict\n)R("); /* OrderedDict(), MARK */
    for (size_t i = 0; i < content->n_items; i++)
        put_tensor(&out, &content->items[i]);
    buf_puts(&out, "u."); /* SETITEMS, STOP */
    enum status status = zip_writer_begin(zip, FOLDER "data.pkl", err);
    if (status == OK && out.overflow)
        status = err_set(err, E_TOO_LARGE, "The state dict has too many tensors.");
    if (status == OK)
        status = zip_writer_bytes(zip, out.data, out.len, err);
    buf_deinit(&out);
    return status;
}

/* --- The numbers ------------------------------------------------------------------------------ */

static enum status write_storage(struct zip_writer *zip, const struct torch_content *content,
                                 size_t storage, struct err *err)
{
    char name[64];
    void *plain = NULL;
    const struct torch_item *item = find_storage(content, storage);
    if (!item)
        return err_set(err, E_INTERNAL, "No tensor has the storage %zu.", storage);
    size_t len = count(item) * sizeof(float);
    snprintf(name, sizeof name, FOLDER "data/%zu", storage);
    enum status status = zip_writer_begin(zip, name, err);
    if (status == OK)
        status = mem_try_alloc(count(item) + 1, sizeof(float), "writing a tensor", &plain, err);
    if (status == OK)
        content->fill(content->context, storage, plain);
    for (size_t done = 0; status == OK && done < len; done += PIECE)
        status = zip_writer_bytes(zip, (const char *)plain + done,
                                  len - done < PIECE ? len - done : PIECE, err);
    mem_free(plain);
    return status;
}

enum status torch_write(const char *path, const struct torch_content *content, struct err *err)
{
    struct zip_writer *zip = NULL;
    enum status status = zip_writer_open(path, &zip, err);
    if (status != OK)
        return status;
    status = write_pickle(zip, content, err);
    for (size_t i = 0; status == OK && i < content->n_storages; i++)
        status = write_storage(zip, content, i, err);
    if (status == OK)
        status = zip_writer_begin(zip, FOLDER "version", err);
    if (status == OK)
        status = zip_writer_bytes(zip, "3\n", 2, err);
    if (status == OK)
        status = zip_writer_finish(zip, err);
    zip_writer_close(zip);
    return status;
}
