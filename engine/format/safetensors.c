/* safetensors.c -- reading: the header is checked as a whole, then tensors are views. */
#include "engine/format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define LENGTH_BYTES 8
#define METADATA_KEY "__metadata__"
/* Nodes of the header's JSON: a tensor needs about ten. Bounds what a hostile header can cost. */
#define MAX_JSON_NODES (16u * TENSOR_MAX_COUNT)

static uint64_t header_length(const uint8_t *bytes)
{
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    return length;
}

bool safetensors_recognise(const uint8_t *bytes, size_t len)
{
    return len > LENGTH_BYTES && bytes[LENGTH_BYTES] == '{' &&
           header_length(bytes) < (uint64_t)1 << 40;
}

/* What the bytes of a tensor are, until holes and overlaps are ruled out. */
struct range {
    uint64_t begin, end;
    const char *name; /* borrowed from the header */
};

static int compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static enum status check_ranges(struct range *ranges, size_t n, uint64_t data_len, struct err *err)
{
    uint64_t at = 0;
    if (n > 0)
        qsort(ranges, n, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].begin != at)
            return err_set(err, E_INVALID,
                           "The tensor %s begins at byte %llu of the data, where %llu was "
                           "expected: the file's tensors leave a hole or overlap.",
                           ranges[i].name, (unsigned long long)ranges[i].begin,
                           (unsigned long long)at);
        at = ranges[i].end;
    }
    if (at != data_len)
        return err_set(err, E_INVALID,
                       "The file's tensors take %llu bytes, but %llu bytes of data follow the "
                       "header: it is truncated, or something was appended.",
                       (unsigned long long)at, (unsigned long long)data_len);
    return OK;
}

static bool read_index(const struct json *value, int64_t *index)
{
    if (!json_is_integer(value) || json_as_number(value, -1) < 0)
        return false;
    *index = (int64_t)json_as_number(value, 0);
    return true;
}

static enum status read_shape(const char *name, const struct json *shape, struct tensor_view *view,
                              struct err *err)
{
    if (json_type(shape) != JSON_ARRAY || json_len(shape) > TENSOR_MAX_DIMS)
        return err_set(err, E_INVALID,
                       "The tensor %s has no \"shape\" that is an array of at most %d numbers.",
                       name, TENSOR_MAX_DIMS);
    json_each(dim, shape)
    {
        if (!read_index(dim, &view->dims[view->n_dims++]))
            return err_set(err, E_INVALID,
                           "The shape of the tensor %s holds something that is no whole number.",
                           name);
    }
    if (!tensor_view_contiguous(view))
        return err_set(err, E_INVALID, "The tensor %s has an impossibly large shape.", name);
    return OK;
}

static enum status read_offsets(const char *name, const struct json *offsets, uint64_t data_len,
                                struct range *range, struct err *err)
{
    int64_t begin, end;
    if (json_len(offsets) != 2 || !read_index(json_at(offsets, 0), &begin) ||
        !read_index(json_at(offsets, 1), &end) || begin > end)
        return err_set(err, E_INVALID,
                       "The tensor %s has no \"data_offsets\" that are two whole numbers in order.",
                       name);
    if ((uint64_t)end > data_len)
        return err_set(
            err, E_INVALID,
            "The tensor %s ends at byte %lld of the data, but only %llu bytes are there: "
            "the file is truncated.",
            name, (long long)end, (unsigned long long)data_len);
    *range = (struct range){(uint64_t)begin, (uint64_t)end, name};
    return OK;
}

/* One member of the header: {"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}. */
static enum status read_tensor(const struct json *entry, const uint8_t *data, uint64_t data_len,
                               struct tensor_source *source, struct range *range, struct err *err)
{
    const char *name = json_key(entry), *dtype = json_string(entry, "dtype", "");
    struct tensor_view view = {.name = name};
    if (!dtype_from_name(dtype, &view.dtype))
        return err_set(err, E_INVALID, "The tensor %s has the dtype \"%.16s\", which is not known.",
                       name, dtype);
    enum status status = read_shape(name, json_get(entry, "shape"), &view, err);
    if (status == OK)
        status = read_offsets(name, json_get(entry, "data_offsets"), data_len, range, err);
    if (status != OK)
        return status;
    view.data = data + range->begin;
    status = tensor_source_add(source, &view, range->end - range->begin, err);
    if (status != OK)
        return status;
    const struct tensor_view *added = &source->tensors[source->n_tensors - 1];
    if (added->n_elements * dtype_size(added->dtype) != range->end - range->begin)
        return err_set(err, E_INVALID,
                       "The tensor %s takes %llu bytes; its shape and dtype need "
                       "%zu.",
                       name, (unsigned long long)(range->end - range->begin),
                       added->n_elements * dtype_size(added->dtype));
    return OK;
}

static enum status read_metadata(const struct json *metadata, struct tensor_source *source,
                                 struct err *err)
{
    if (json_type(metadata) != JSON_OBJECT)
        return err_set(err, E_INVALID, "The file's " METADATA_KEY " is not an object.");
    json_each(member, metadata)
    {
        if (json_type(member) != JSON_STRING)
            return err_set(err, E_INVALID, "The file's metadata \"%.64s\" is not a string.",
                           json_key(member));
    }
    source->metadata = json_copy(metadata);
    return OK;
}

static enum status read_header(const struct json *header, const uint8_t *data, uint64_t data_len,
                               struct tensor_source *source, struct err *err)
{
    size_t n_ranges = 0;
    struct range *ranges = mem_alloc((json_len(header) + 1) * sizeof *ranges);
    enum status status = OK;
    json_each(member, header)
    {
        if (strcmp(json_key(member), METADATA_KEY) == 0)
            status = read_metadata(member, source, err);
        else
            status = read_tensor(member, data, data_len, source, &ranges[n_ranges++], err);
        if (status != OK)
            goto done;
    }
    status = check_ranges(ranges, n_ranges, data_len, err);
done:
    mem_free(ranges);
    return status;
}

/* A cheap upper bound of the nodes that parsing will make: every node but the first follows a
 * comma, a colon or an opening bracket. */
static size_t count_nodes(const char *text, size_t len)
{
    size_t n = 1;
    for (size_t i = 0; i < len; i++)
        n += text[i] == ',' || text[i] == '[' || text[i] == '{';
    return n;
}

enum status safetensors_parse(const uint8_t *bytes, size_t len, struct tensor_source *source,
                              struct err *err)
{
    uint64_t header_len = len < LENGTH_BYTES ? UINT64_MAX : header_length(bytes);
    if (header_len > SAFETENSORS_MAX_HEADER)
        return err_set(err, E_INVALID, "The file's header is larger than %u bytes.",
                       SAFETENSORS_MAX_HEADER);
    if (header_len > len - LENGTH_BYTES)
        return err_set(err, E_INVALID,
                       "The file's header claims %llu bytes, but the file has only %zu: it is "
                       "truncated.",
                       (unsigned long long)header_len, len);
    const char *text = (const char *)bytes + LENGTH_BYTES;
    if (count_nodes(text, (size_t)header_len) > MAX_JSON_NODES)
        return err_set(err, E_INVALID, "The file's header holds more than %d tensors.",
                       TENSOR_MAX_COUNT);
    struct json *header = NULL;
    struct err why;
    enum status status = json_parse(text, (size_t)header_len, &header, &why);
    if (status != OK)
        return err_set(err, status == E_SYNTAX ? E_INVALID : status,
                       "The file's header cannot be read: %s", why.detail);
    if (json_type(header) != JSON_OBJECT)
        status = err_set(err, E_INVALID, "The file's header is not a JSON object.");
    if (status == OK)
        status = read_header(header, bytes + LENGTH_BYTES + header_len,
                             len - LENGTH_BYTES - header_len, source, err);
    json_free(header);
    return status;
}
