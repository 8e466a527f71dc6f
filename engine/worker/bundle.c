#include "engine/worker/bundle.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/data/archive_writer.h"
#include "engine/data/preprocess.h"
#include "engine/format/onnx.h"

#define MAX_TEXT (64u << 20)

/* NAME and NAME_end are the first byte of the file and the one behind its last. */
#define EMBED(name, file)                                                                          \
    extern const char name[], name##_end[];                                                        \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global " #name "\n" #name ":\n"                                                      \
            ".incbin \"" file "\"\n"                                                               \
            ".global " #name "_end\n" #name "_end:\n"                                              \
            ".byte 0\n"                                                                            \
            ".popsection\n")

EMBED(bundle_predict, "engine/worker/bundle/predict.py");
EMBED(bundle_readme, "engine/worker/bundle/README.txt");

static const struct {
    const char *name, *bytes, *end;
} fixed_members[] = {
    {"predict.py", bundle_predict, bundle_predict_end},
    {"README.txt", bundle_readme, bundle_readme_end},
};

/* One name a line; a line break within a name becomes a blank. */
static void print_classes(const struct model_info *info, struct buf *out)
{
    json_each(label, info->classes)
    {
        for (const char *c = json_as_string(label, ""); *c; c++)
            buf_append(out, *c == '\n' || *c == '\r' ? " " : c, 1);
        buf_puts(out, "\n");
    }
}

static void add_triple(struct json *object, const char *key, const double numbers[3])
{
    struct json *array = json_set_array(object, key);
    for (int i = 0; i < 3; i++)
        json_add_number(array, numbers[i]);
}

static void print_preprocessing(const struct model_info *info, struct buf *out)
{
    struct json *how = json_new_object();
    json_set_string(how, "architecture", info->architecture);
    json_set_string(how, "input", ONNX_INPUT);
    json_set_string(how, "output", ONNX_OUTPUT);
    json_set_string(how, "layout", "NCHW");
    json_set_string(how, "channels", "RGB");
    json_set_integer(how, "size", info->image_size);
    json_set_integer(how, "resize", preprocess_resize_side(info->image_size));
    json_set_string(how, "interpolation", "bilinear, antialiased");
    json_set_string(how, "crop", "center");
    add_triple(how, "mean", info->mean);
    add_triple(how, "std", info->std);
    json_set_string(how, "probabilities", model_info_is_multilabel(info) ? "sigmoid" : "softmax");
    json_print(how, out);
    buf_puts(out, "\n");
    json_free(how);
}

static enum status add_text(struct archive_writer *writer, const char *name,
                            const struct model_info *info,
                            void (*print)(const struct model_info *info, struct buf *out),
                            struct err *err)
{
    struct buf text;
    buf_init(&text, MAX_TEXT);
    print(info, &text);
    enum status status = text.overflow
                             ? err_set(err, E_INVALID, "The model's %s is too large.", name)
                             : archive_writer_add(writer, name, text.data, text.len, err);
    buf_deinit(&text);
    return status;
}

/* The file's pages are read as the archive is written: a model is never in memory as a whole. */
static enum status add_mapped(struct archive_writer *writer, const char *name, const char *path,
                              struct err *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &info)) {
        enum status status = err_errno(err, "Opening %s failed", path);
        if (fd >= 0)
            close(fd);
        return status;
    }
    size_t len = (size_t)info.st_size;
    void *bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return err_errno(err, "Mapping %s failed", path);
    enum status status = archive_writer_add(writer, name, bytes, len, err);
    munmap(bytes, len);
    return status;
}

static enum status add_members(struct archive_writer *writer, const char *onnx,
                               const struct tensor_source *source, const struct model_info *info,
                               struct err *err)
{
    enum status status = OK;
    for (size_t i = 0; status == OK && i < ARRAY_LEN(fixed_members); i++)
        status = archive_writer_add(writer, fixed_members[i].name, fixed_members[i].bytes,
                                    (size_t)(fixed_members[i].end - fixed_members[i].bytes), err);
    if (status == OK)
        status = add_text(writer, "classes.txt", info, print_classes, err);
    if (status == OK)
        status = add_text(writer, "preprocessing.json", info, print_preprocessing, err);
    if (status == OK)
        status = add_mapped(writer, "model.onnx", onnx, err);
    if (status == OK)
        status =
            archive_writer_add(writer, "model.safetensors", source->bytes, source->n_bytes, err);
    return status;
}

enum status bundle_write(const char *path, const char *onnx, const struct tensor_source *source,
                         const struct model_info *info, struct err *err)
{
    struct archive_writer *writer;
    enum status status = archive_writer_open(path, &writer, err);
    if (status != OK)
        return status;
    status = add_members(writer, onnx, source, info, err);
    if (status == OK)
        status = archive_writer_finish(writer, err);
    archive_writer_close(writer);
    return status;
}
