/* synth.c -- the verb `synth`: writes a set of drawn pictures (engine/data/synth.h), or of letters
 * (engine/data/synth_letter.h), to a zip, a tar or a folder, as train/CLASS/NNNNN.jpg and
 * valid/CLASS/NNNNN.jpg; letters are .txt, and those without a label unsup/NNNNN.txt.
 *
 * Document: {verb, out, set, classes, per_class, valid, unlabelled, size, seed, format}. The same
 * document gives the same bytes. What validates trains with no other seed: its numbers start where
 * no training item's are. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/data/archive_writer.h"
#include "engine/data/jpeg.h"
#include "engine/data/png.h"
#include "engine/data/synth.h"
#include "engine/data/synth_letter.h"
#include "engine/worker/verb.h"

#define MAX_PER_CLASS 1000000
#define VALID_BASE    MAX_PER_CLASS       /* the number of a class's first validation item */
#define UNSUP_BASE    (2 * MAX_PER_CLASS) /* and of its first one without a label */
#define LETTERS       "letters"
#define JPEG_QUALITY  92
#define MAX_FILE      (32u << 20)

struct job {
    struct report *report;         /* borrowed */
    const struct synth_set *set;   /* NULL: letters */
    struct archive_writer *writer; /* owned */
    int64_t classes, per_class, valid, unlabelled, size, seed;
    bool jpeg;
    uint8_t *pixels; /* owned */
    struct buf file; /* owned */
    int64_t done;
};

static enum status read_count(const struct json *document, const char *key, int64_t fallback,
                              int64_t min, int64_t max, int64_t *value, struct err *err)
{
    *value = json_integer(document, key, fallback);
    if (*value >= min && *value <= max)
        return OK;
    return err_set(err, E_INVALID, "%s is %lld; it must be from %lld to %lld.", key,
                   (long long)*value, (long long)min, (long long)max);
}

static enum status find_set(const char *name, const struct synth_set **set, struct err *err)
{
    *set = synth_find_set(name);
    if (*set || strcmp(name, LETTERS) == 0)
        return OK;
    struct buf names;
    buf_init(&names, 1024);
    for (size_t i = 0; i < synth_n_sets(); i++)
        buf_printf(&names, "%s, ", synth_set_name(synth_set_at(i)));
    buf_puts(&names, LETTERS);
    enum status status =
        err_set(err, E_INVALID, "There is no set \"%s\" to draw; there are %s.", name, names.data);
    buf_deinit(&names);
    return status;
}

static size_t count_classes(const struct synth_set *set)
{
    return set ? synth_n_classes(set) : synth_letter_n_classes();
}

static struct synth_name class_name(const struct job *job, size_t label)
{
    struct synth_name name;
    if (job->set)
        return synth_class_name(job->set, label);
    snprintf(name.text, sizeof name.text, "%s", synth_letter_class_name(label));
    return name;
}

static enum status read_document(struct job *job, const struct json *document, struct err *err)
{
    const char *format = json_string(document, "format", "jpeg");
    enum status status = find_set(json_string(document, "set", "a"), &job->set, err);
    if (status)
        return status;
    int64_t all = (int64_t)count_classes(job->set), most = job->set ? 0 : MAX_PER_CLASS;
    if ((status = read_count(document, "classes", all, 1, all, &job->classes, err)) ||
        (status = read_count(document, "per_class", 100, 0, MAX_PER_CLASS, &job->per_class, err)) ||
        (status = read_count(document, "valid", 20, 0, MAX_PER_CLASS, &job->valid, err)) ||
        (status = read_count(document, "unlabelled", 0, 0, most, &job->unlabelled, err)) ||
        (status =
             read_count(document, "size", 64, SYNTH_MIN_SIZE, SYNTH_MAX_SIZE, &job->size, err)) ||
        (status = read_count(document, "seed", 0, 0, JSON_MAX_INTEGER, &job->seed, err)))
        return status;
    job->jpeg = strcmp(format, "jpeg") == 0;
    if (!job->jpeg && strcmp(format, "png") != 0)
        return err_set(err, E_INVALID, "The format is \"%s\"; it must be jpeg or png.", format);
    return OK;
}

static enum status make_content(struct job *job, size_t label, int64_t number, struct err *err)
{
    int size = (int)job->size;
    buf_clear(&job->file);
    if (!job->set) {
        synth_letter_write(label, (uint64_t)job->seed, (uint64_t)number, &job->file);
        return OK;
    }
    synth_draw(job->set, label, (uint64_t)job->seed, (uint64_t)number, size, job->pixels);
    return job->jpeg ? image_jpeg_encode(job->pixels, size, size, JPEG_QUALITY, &job->file, err)
                     : image_png_encode(job->pixels, size, size, &job->file, err);
}

/* `folder`/NNNNN.EXT. */
static enum status add_file(struct job *job, const char *folder, size_t label, int64_t number,
                            struct err *err)
{
    enum status status = report_check(job->report, err);
    if (status == OK)
        status = make_content(job, label, number, err);
    if (status != OK)
        return status;
    const char *extension = !job->set ? "txt" : job->jpeg ? "jpg" : "png";
    char *name = mem_printf("%s/%05lld.%s", folder, (long long)number, extension);
    status = archive_writer_add(job->writer, name, job->file.data, job->file.len, err);
    mem_free(name);
    job->done++;
    report_progress(job->report, job->done,
                    job->classes * (job->per_class + job->valid) + job->unlabelled);
    return status;
}

static enum status add_split(struct job *job, const char *split, int64_t first, int64_t n,
                             struct err *err)
{
    enum status status = OK;
    for (int64_t label = 0; label < job->classes && !status; label++) {
        char *folder = mem_printf("%s/%s", split, class_name(job, (size_t)label).text);
        for (int64_t i = 0; i < n && !status; i++)
            status = add_file(job, folder, (size_t)label, first + i, err);
        mem_free(folder);
    }
    return status;
}

/* Of all classes in turn. */
static enum status add_unlabelled(struct job *job, struct err *err)
{
    enum status status = OK;
    for (int64_t i = 0; i < job->unlabelled && !status; i++)
        status = add_file(job, "unsup", (size_t)(i % job->classes), UNSUP_BASE + i, err);
    return status;
}

static void send_result(struct job *job)
{
    struct json *result = json_new_object();
    json_set_string(result, "type", "result");
    json_set_string(result, "set", job->set ? synth_set_name(job->set) : LETTERS);
    struct json *names = json_set_array(result, "classes");
    for (int64_t i = 0; i < job->classes; i++)
        json_add_string(names, class_name(job, (size_t)i).text);
    json_set_integer(result, "train", job->classes * job->per_class);
    json_set_integer(result, "valid", job->classes * job->valid);
    json_set_integer(result, "unlabelled", job->unlabelled);
    report_send(job->report, result);
    json_free(result);
}

static enum status run(struct report *report, const struct json *document, struct err *err)
{
    struct job job = {.report = report};
    enum status status = read_document(&job, document, err);
    if (status)
        return status;
    buf_init(&job.file, MAX_FILE);
    job.pixels = mem_alloc((size_t)(job.size * job.size) * 3);
    if ((status = archive_writer_open(json_string(document, "out", ""), &job.writer, err)) ||
        (status = add_split(&job, "train", 0, job.per_class, err)) ||
        (status = add_split(&job, "valid", VALID_BASE, job.valid, err)) ||
        (status = add_unlabelled(&job, err)) || (status = archive_writer_finish(job.writer, err)))
        goto done;
    send_result(&job);
done:
    archive_writer_close(job.writer);
    mem_free(job.pixels);
    buf_deinit(&job.file);
    return status;
}

static const struct verb_flag flags[] = {
    {"--out", "out", FLAG_NEW_FILE, "PATH",
     "a .zip, .tar, .tar.gz or .tar.zst to write, else a folder", true},
    {"--set", "set", FLAG_TEXT, "NAME",
     "pictures: a, b, shapes, textures or forms; texts: letters (a)", false},
    {"--classes", "classes", FLAG_INTEGER, "N", "the first N classes of the set (all)", false},
    {"--per-class", "per_class", FLAG_INTEGER, "N", "training items of a class (100)", false},
    {"--valid", "valid", FLAG_INTEGER, "N", "validation items of a class (20)", false},
    {"--unlabelled", "unlabelled", FLAG_INTEGER, "N", "letters without a label (0)", false},
    {"--size", "size", FLAG_INTEGER, "N", "side in pixels, 16 to 1024 (64)", false},
    {"--seed", "seed", FLAG_INTEGER, "N", "other seeds draw other pictures (0)", false},
    {"--format", "format", FLAG_TEXT, "jpeg|png", "of the files (jpeg)", false},
};

const struct verb verb_synth = {
    .name = "synth",
    .summary = "draws a labelled set of pictures, or writes one of letters",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = run,
};
