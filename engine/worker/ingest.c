/* ingest.c -- the verb `ingest`: an upload becomes a pack.
 *
 * Document (api/spec/wire.h): {verb, upload, out, options, skip:[ordinal...], limits}. `limits` may
 * hold max_bytes, max_ratio, max_entries, max_item_bytes and max_pixels. What cannot be used is
 * listed in result.json and stops nothing; a damaged upload stops all. What it is, pictures or
 * texts, its content says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/spec/dataset_options.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/encoding.h"
#include "engine/data/image.h"
#include "engine/data/pack.h"
#include "engine/data/text_sniff.h"
#include "engine/worker/ingest.h"
#include "engine/worker/verb.h"

#define DRAIN_BYTES (16u << 20)
#define MAX_LISTED  100 /* rejected members or rows that result.json names; all are counted */

void ingest_reject(void *context, const char *path, const char *reason)
{
    struct ingest *ingest = context;
    if (ingest->n_rejected++ == 0)
        err_set(&ingest->first_rejected, E_INVALID, "%.200s: %.300s", path, reason);
    if (ingest->n_rejected > MAX_LISTED)
        return;
    struct json *item = json_add_object(ingest->rejected);
    json_set_string(item, "path", path);
    json_set_string(item, "reason", reason);
}

bool ingest_is_skipped(const struct ingest *ingest, int64_t ordinal)
{
    json_each(item, json_get(ingest->document, "skip"))
    {
        if ((int64_t)json_as_number(item, -1) == ordinal)
            return true;
    }
    return false;
}

enum status ingest_pass_over(struct ingest *ingest, struct archive_reader *reader, struct err *err)
{
    int64_t size = (int64_t)ingest->upload_bytes;
    enum status status;
    bool done = false;
    do {
        status = report_check(ingest->report, err);
        if (!status)
            status = archive_reader_drain(reader, DRAIN_BYTES, &done, err);
        report_progress(ingest->report, (int64_t)archive_reader_position(reader), size);
    } while (!status && !done);
    return status;
}

/* --- Results ------------------------------------------------------------------------------- */

static struct json *make_result(const struct ingest *ingest, const struct ingested *ingested)
{
    const struct arrangement *arrangement = &ingested->arrangement;
    static const char *const split_names[N_SPLITS] = {"train", "valid", "test", "unlabelled"};
    struct json *result = json_new_object();
    uint64_t items = 0;
    for (int i = 0; i < N_SPLITS; i++)
        items += arrangement->split_items[i];
    json_set_string(result, "kind", ingested->kind);
    json_set_integer(result, "items", (int64_t)items);
    struct json *classes = json_set_array(result, "classes");
    for (uint32_t i = 0; i < arrangement->n_classes; i++) {
        struct json *class = json_add_object(classes);
        json_set_string(class, "name", arrangement->class_names[i]);
        json_set_integer(class, "items", (int64_t)arrangement->class_items[i]);
    }
    struct json *splits = json_set_object(result, "splits");
    for (int i = 0; i < N_SPLITS; i++)
        json_set_integer(splits, split_names[i], (int64_t)arrangement->split_items[i]);
    struct json *rejected = json_set_object(result, "rejected");
    json_set_integer(rejected, "count", ingest->n_rejected);
    json_set(rejected, "items", json_copy(ingest->rejected));
    json_set(result, "warnings", json_copy(ingest->warnings));
    json_set_integer(result, "bytes", (int64_t)ingested->bytes);
    return result;
}

static enum status commit(const struct ingest *ingest, const char *name, struct err *err)
{
    char *from = mem_printf("%s/%s.part", ingest->out, name);
    char *to = mem_printf("%s/%s", ingest->out, name);
    enum status status = fs_commit(from, to, err);
    mem_free(from);
    mem_free(to);
    return status;
}

/* result.json comes last: where it is, pack and index are whole. */
static enum status write_results(const struct ingest *ingest, const struct ingested *ingested,
                                 struct err *err)
{
    enum status status = commit(ingest, "pack", err);
    if (status || (status = commit(ingest, "index", err)))
        return status;
    struct json *result = make_result(ingest, ingested);
    status = report_result(ingest->report, result, ingest->out, "dataset", err);
    json_free(result);
    return status;
}

/* --- Opening -------------------------------------------------------------------------------- */

static enum status open_part(const struct ingest *ingest, const char *name, int *fd,
                             struct err *err)
{
    char *path = mem_printf("%s/%s.part", ingest->out, name);
    *fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    enum status status = *fd < 0 ? err_errno(err, "The file %s cannot be made", path) : OK;
    mem_free(path);
    return status;
}

static void remove_parts(const struct ingest *ingest)
{
    static const char *const names[] = {"pack.part", "index.part"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *path = mem_printf("%s/%s", ingest->out, names[i]);
        unlink(path);
        mem_free(path);
    }
}

static enum status read_limit(const struct json *limits, const char *key, uint64_t *limit,
                              struct err *err)
{
    const struct json *value = json_get(limits, key);
    if (json_type(value) == JSON_NULL)
        return OK;
    if (!json_is_integer(value) || json_as_number(value, 0) < 1)
        return err_set(err, E_INVALID, "The limit %s must be a whole number, at least 1.", key);
    *limit = (uint64_t)json_as_number(value, 0);
    return OK;
}

static enum status read_limits(const struct json *limits, struct archive_limits *archive,
                               uint64_t *max_pixels, struct err *err)
{
    const struct {
        const char *key;
        uint64_t *limit;
    } known[] = {
        {"max_bytes", &archive->max_bytes},           {"max_ratio", &archive->max_ratio},
        {"max_entries", &archive->max_entries},       {"max_pixels", max_pixels},
        {"max_item_bytes", &archive->max_item_bytes},
    };
    enum status status = OK;
    for (size_t i = 0; i < ARRAY_LEN(known) && !status; i++)
        status = read_limit(limits, known[i].key, known[i].limit, err);
    if (!status && archive->max_item_bytes > PACK_MAX_ITEM_BYTES)
        archive->max_item_bytes = PACK_MAX_ITEM_BYTES;
    return status;
}

/* Every option is known, and a text. */
static enum status check_options(const struct json *options, const char *kind, int kinds,
                                 struct err *err)
{
    static const struct {
        const char *name;
        int kinds;
    } known[] = {
#define KNOWN(name, flag, value, of, meaning) {#name, of},
        DATASET_OPTIONS(KNOWN)
#undef KNOWN
    };
    json_each(option, options)
    {
        int taken = 0;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (strcmp(json_key(option), known[i].name) == 0)
                taken = known[i].kinds;
        if ((taken & kinds) && json_type(option) == JSON_STRING)
            continue;
        err_set(err, E_INVALID, "The option %.60s is not known for data sets of %s.",
                json_key(option), kind);
        err_name(err, "bad_option", NULL);
        return E_INVALID;
    }
    return OK;
}

static enum status open_all(struct ingest *ingest, struct err *err)
{
    const char *upload = json_string(ingest->document, "upload", "");
    struct stat stat;
    ingest->limits = archive_default_limits();
    ingest->out = json_string(ingest->document, "out", "");
    ingest->max_pixels = IMAGE_MAX_PIXELS;
    enum status status = read_limits(json_get(ingest->document, "limits"), &ingest->limits,
                                     &ingest->max_pixels, err);
    if (status)
        return status;
    ingest->upload_fd = open(upload, O_RDONLY | O_CLOEXEC);
    if (ingest->upload_fd < 0 || fstat(ingest->upload_fd, &stat) != 0)
        return err_errno(err, "The upload %s cannot be opened", upload);
    ingest->upload_bytes = (uint64_t)stat.st_size;
    status = open_part(ingest, "pack", &ingest->pack_fd, err);
    return status ? status : open_part(ingest, "index", &ingest->index_fd, err);
}

static void close_all(struct ingest *ingest)
{
    json_free(ingest->rejected);
    json_free(ingest->warnings);
    const int fds[] = {ingest->upload_fd, ingest->pack_fd, ingest->index_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* No archive, and nothing that only pictures and archives hold. */
static bool is_bare_text(const struct ingest *ingest)
{
    char head[4096];
    ssize_t n = pread(ingest->upload_fd, head, sizeof head, 0);
    size_t len = n > 0 ? (size_t)n : 0;
    bool encoded = json_get(json_get(ingest->document, "options"), "encoding");
    return len > 0 && !archive_is_known(head, len) &&
           (encoded || text_wide_encoding(head, len) || text_is_likely(head, len));
}

static enum status take_archive(struct ingest *ingest, struct ingested *ingested, struct err *err)
{
    const struct json *options = json_get(ingest->document, "options");
    struct survey survey = {0};
    enum status status = ingest_survey(ingest, &survey, err);
    if (!status && survey.images)
        status = check_options(options, "pictures", DATASET_IMAGES, err);
    if (!status && survey.images)
        status = ingest_images(ingest, ingested, err);
    else if (!status && survey.n_tables)
        status = ingest_tables(ingest, (const char *const *)survey.tables, survey.n_tables,
                               ingested, err);
    else if (!status)
        status = ingest_documents(ingest, ingested, err);
    survey_deinit(&survey);
    return status;
}

static enum status take_upload(struct ingest *ingest, struct ingested *ingested, struct err *err)
{
    enum status status =
        check_options(json_get(ingest->document, "options"), "any kind", DATASET_BOTH, err);
    if (status)
        return status;
    return is_bare_text(ingest) ? ingest_tables(ingest, NULL, 0, ingested, err)
                                : take_archive(ingest, ingested, err);
}

static enum status run(struct report *report, const struct json *document, struct err *err)
{
    struct ingest ingest = {.report = report,
                            .document = document,
                            .upload_fd = -1,
                            .pack_fd = -1,
                            .index_fd = -1,
                            .rejected = json_new_array(),
                            .warnings = json_new_array()};
    struct ingested ingested = {0};
    enum status status = open_all(&ingest, err);
    if (!status) {
        report_started(report, 1, NULL);
        status = take_upload(&ingest, &ingested, err);
    }
    if (!status) {
        status = write_results(&ingest, &ingested, err);
        arrangement_deinit(&ingested.arrangement);
    }
    if (status)
        remove_parts(&ingest);
    close_all(&ingest);
    return status;
}

/* The tables that decode other encodings are loaded as code. A name that is not known, `run` will
 * refuse. */
static void prepare(const struct json *document)
{
    const char *encoding = json_string(json_get(document, "options"), "encoding", NULL);
    struct err ignored;
    if (encoding && !encoding_is_utf8(encoding))
        encoding_load(encoding, &ignored);
}

static const struct verb_flag flags[] = {
    {"--upload", "upload", FLAG_INPUT, "FILE",
     "a zip, tar, tar.gz or tar.zst of pictures or texts; or csv, tsv, JSON lines, text", true},
    {"--out", "out", FLAG_OUTPUT, "DIR", "gets pack, index and result.json", true},
#define FLAG(name, flag, value, kinds, meaning)                                                    \
    {flag, "options." #name, FLAG_TEXT, value, meaning, false},
    DATASET_OPTIONS(FLAG)
#undef FLAG
        {"--max-pixels", "limits.max_pixels", FLAG_INTEGER, "N", "of one picture (100000000)",
         false},
    {"--max-bytes", "limits.max_bytes", FLAG_INTEGER, "N", "unpacked in all (1 TiB)", false},
};

const struct verb verb_ingest = {
    .name = "ingest",
    .summary = "makes a data set of an upload of pictures or texts",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .prepare = prepare,
    .run = run,
};
