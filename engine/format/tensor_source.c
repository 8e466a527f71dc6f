/* tensor_source.c -- opening a weights file, and the table of its tensors. */
#include "engine/format/tensor_source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/format/safetensors.h"
#include "engine/format/torch.h"

#define MAX_ELEMENTS (INT64_C(1) << 40) /* of one tensor: sizes in bytes stay far from overflow */

static const struct weights_format {
    const char *name;
    bool (*recognise)(const uint8_t *bytes, size_t len);
    enum status (*parse)(const uint8_t *bytes, size_t len, struct tensor_source *source,
                         struct err *err);
} formats[] = {
    {"torch zip", torch_recognise_zip, torch_parse_zip},
    {"torch legacy", torch_recognise_legacy, torch_parse_legacy},
    {"safetensors", safetensors_recognise, safetensors_parse},
};

static const struct weights_format *recognise(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (formats[i].recognise(bytes, len))
            return &formats[i];
    }
    return NULL;
}

enum status tensor_source_from_bytes(const uint8_t *bytes, size_t len, struct tensor_source *source,
                                     struct err *err)
{
    *source = (struct tensor_source){.bytes = bytes, .n_bytes = len};
    const struct weights_format *format = recognise(bytes, len);
    if (!format)
        return err_set(err, E_INVALID,
                       "The file is no weights file that is known here: expected safetensors, or a "
                       "state dict written by torch.save (zip or legacy format).");
    source->format = format->name;
    enum status status = format->parse(bytes, len, source, err);
    if (status == OK)
        status = tensor_source_finish(source, err);
    if (status != OK)
        tensor_source_close(source);
    return status;
}

static enum status map_file(const char *path, const uint8_t **bytes, size_t *len, struct err *err)
{
    enum status status = OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0)
        return err_errno(err, "Opening the weights file %s failed", path);
    if (fstat(fd, &info) != 0) {
        status = err_errno(err, "Reading about the weights file %s failed", path);
        goto done;
    }
    if (!S_ISREG(info.st_mode) || info.st_size == 0) {
        status = err_set(err, E_INVALID, "The weights file %s is %s.", path,
                         S_ISREG(info.st_mode) ? "empty" : "not a regular file");
        goto done;
    }
    *len = (size_t)info.st_size;
    void *map = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        status = err_errno(err, "Mapping the weights file %s failed", path);
    else
        *bytes = map;
done:
    close(fd);
    return status;
}

enum status tensor_source_open(const char *path, struct tensor_source *source, struct err *err)
{
    const uint8_t *bytes = NULL;
    size_t len = 0;
    enum status status = map_file(path, &bytes, &len, err);
    if (status != OK)
        return status;
    status = tensor_source_from_bytes(bytes, len, source, err);
    if (status == OK)
        source->mapped = true;
    else
        munmap((void *)(uintptr_t)bytes, len);
    return status;
}

void tensor_source_close(struct tensor_source *source)
{
    for (size_t i = 0; i < source->n_tensors; i++)
        mem_free((void *)(uintptr_t)source->tensors[i].name);
    mem_free(source->tensors);
    json_free(source->metadata);
    if (source->mapped)
        munmap((void *)(uintptr_t)source->bytes, source->n_bytes);
    *source = (struct tensor_source){0};
}

static int compare_views(const void *a, const void *b)
{
    const struct tensor_view *x = a, *y = b;
    return strcmp(x->name, y->name);
}

const struct tensor_view *tensor_source_find(const struct tensor_source *source, const char *name)
{
    if (source->n_tensors == 0)
        return NULL;
    struct tensor_view key = {.name = name};
    return bsearch(&key, source->tensors, source->n_tensors, sizeof key, compare_views);
}

bool tensor_has_shape(const struct tensor_view *view, int n_dims, const int64_t *dims)
{
    return view->n_dims == n_dims &&
           (n_dims == 0 || memcmp(view->dims, dims, (size_t)n_dims * sizeof *dims) == 0);
}

const char *tensor_shape_text(int n_dims, const int64_t *dims, char *text, size_t size)
{
    size_t at = 0;
    for (int i = 0; i < n_dims && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "(", (long long)dims[i]);
    if (at < size)
        snprintf(text + at, size - at, n_dims ? ")" : "()");
    return text;
}

bool tensor_view_contiguous(struct tensor_view *view)
{
    int64_t stride = 1;
    for (int i = view->n_dims - 1; i >= 0; i--) {
        view->strides[i] = stride;
        if (__builtin_mul_overflow(stride, view->dims[i], &stride))
            return false;
    }
    return true;
}

/* Names come from strangers and go into sentences, JSON and file headers. */
static bool is_usable_name(const char *name)
{
    size_t len = strnlen(name, TENSOR_MAX_NAME + 1);
    if (len == 0 || len > TENSOR_MAX_NAME)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < 0x20 || name[i] > 0x7e)
            return false;
    }
    return true;
}

/* Elements of the view, and the index of the last one it reaches, both checked. */
static bool measure(const struct tensor_view *view, int64_t *n_elements, int64_t *last)
{
    int64_t n = 1, end = 0;
    for (int i = 0; i < view->n_dims; i++) {
        int64_t reach;
        if (view->dims[i] < 0 || view->strides[i] < 0 ||
            __builtin_mul_overflow(n, view->dims[i], &n) || n > MAX_ELEMENTS)
            return false;
        if (view->dims[i] == 0)
            continue;
        if (__builtin_mul_overflow(view->dims[i] - 1, view->strides[i], &reach) ||
            __builtin_add_overflow(end, reach, &end) || end > MAX_ELEMENTS)
            return false;
    }
    *n_elements = n;
    *last = end;
    return true;
}

static enum status check_view(const struct tensor_view *view, uint64_t room, int64_t *n_elements,
                              struct err *err)
{
    int64_t last;
    if (!is_usable_name(view->name))
        return err_set(err, E_INVALID,
                       "A tensor's name is empty, longer than %d bytes, or not printable ASCII.",
                       TENSOR_MAX_NAME);
    if (view->n_dims < 0 || view->n_dims > TENSOR_MAX_DIMS)
        return err_set(err, E_INVALID, "The tensor %s has %d dimensions; at most %d can be used.",
                       view->name, view->n_dims, TENSOR_MAX_DIMS);
    if (!measure(view, n_elements, &last))
        return err_set(err, E_INVALID, "The tensor %s has a negative or impossibly large shape.",
                       view->name);
    if (*n_elements > 0 && (uint64_t)(last + 1) * dtype_size(view->dtype) > room)
        return err_set(err, E_INVALID,
                       "The tensor %s reaches beyond its storage: its last element lies at %lld, "
                       "the storage has room for %llu elements.",
                       view->name, (long long)last,
                       (unsigned long long)(room / dtype_size(view->dtype)));
    return OK;
}

enum status tensor_source_add(struct tensor_source *source, const struct tensor_view *view,
                              uint64_t room, struct err *err)
{
    int64_t n_elements = 0;
    enum status status = check_view(view, room, &n_elements, err);
    if (status != OK)
        return status;
    if (source->n_tensors == TENSOR_MAX_COUNT)
        return err_set(err, E_INVALID, "The file holds more than %d tensors.", TENSOR_MAX_COUNT);
    if (source->n_tensors == source->capacity) {
        source->capacity = source->capacity ? 2 * source->capacity : 64;
        source->tensors = mem_realloc(source->tensors, source->capacity * sizeof *source->tensors);
    }
    struct tensor_view *copy = &source->tensors[source->n_tensors++];
    *copy = *view;
    copy->name = mem_strdup(view->name);
    copy->n_elements = (size_t)n_elements;
    return OK;
}

void tensor_source_rename(struct tensor_source *source, size_t index, char *name)
{
    mem_free((void *)(uintptr_t)source->tensors[index].name);
    source->tensors[index].name = name;
}

enum status tensor_source_finish(struct tensor_source *source, struct err *err)
{
    if (!source->metadata)
        source->metadata = json_new_object();
    if (source->n_tensors == 0)
        return OK;
    qsort(source->tensors, source->n_tensors, sizeof *source->tensors, compare_views);
    for (size_t i = 1; i < source->n_tensors; i++) {
        if (strcmp(source->tensors[i - 1].name, source->tensors[i].name) == 0)
            return err_set(err, E_INVALID, "The file holds two tensors named %s.",
                           source->tensors[i].name);
    }
    return OK;
}
