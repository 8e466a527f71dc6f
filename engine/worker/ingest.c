/* ingest.c -- the verb `ingest`: an uploaded archive becomes a pack.
 *
 * Document (api/spec/wire.h): {verb, upload, out, options, skip:[ordinal...], limits}. `limits` may
 * hold max_bytes, max_ratio, max_entries, max_item_bytes and max_pixels. Members stream from the
 * archive into out/pack, each picture decoded once to prove it, and announced before, so that a
 * crash or a hang names its member: thawd then starts again with that ordinal in `skip`. What
 * cannot be used is listed in result.json and stops nothing; a damaged archive stops all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/archive.h"
#include "engine/data/arrange.h"
#include "engine/data/image.h"
#include "engine/data/pack.h"
#include "engine/worker/verb.h"

#define DRAIN_BYTES (16u << 20)
#define MAX_LISTED  100 /* rejected members that result.json names; all are counted */

struct ingest {
    struct report *report;   /* borrowed */
    const struct json *skip; /* borrowed; ordinals */
    const char *out;         /* borrowed */
    uint64_t max_pixels;
    int upload_fd, pack_fd, index_fd; /* owned */
    struct archive_reader *reader;    /* owned */
    struct pack_writer *writer;       /* owned */
    struct labelling labelling;       /* owned */
    struct json *rejected;            /* owned; [{path, reason}] */
    int64_t n_rejected;
    struct err first_rejected; /* for the sentence when nothing is left */
};

static void on_rejected(void *context, const char *path, const char *reason)
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

/* --- Members ------------------------------------------------------------------------------- */

static bool is_skipped(const struct ingest *ingest, int64_t ordinal)
{
    json_each(item, ingest->skip)
    {
        if ((int64_t)json_as_number(item, -1) == ordinal)
            return true;
    }
    return false;
}

/* Takes a picture into the pack, or rejects it. */
static enum status take_picture(struct ingest *ingest, const struct archive_member *member,
                                struct err *err)
{
    struct image_header header;
    struct err why = {0};
    enum status status =
        image_read_header(member->bytes, member->len, ingest->max_pixels, &header, &why);
    if (!status)
        status = image_check(member->bytes, member->len, &header, &why);
    if (status) {
        on_rejected(ingest, member->name, why.detail);
        return OK;
    }
    struct pack_record record = {.label = PACK_NO_LABEL,
                                 .split = N_SPLITS,
                                 .format = (uint8_t)header.format,
                                 .orientation = (uint8_t)header.orientation,
                                 .width = (uint32_t)header.width,
                                 .height = (uint32_t)header.height};
    return pack_writer_add(ingest->writer, &record, member->name, member->bytes, member->len, err);
}

/* A table that says labels: read at once, used when all members are known. */
static enum status take_table(struct ingest *ingest, const struct archive_member *member,
                              struct err *err)
{
    enum status status = archive_reader_fill(ingest->reader, ARCHIVE_WHOLE, err);
    if (status)
        return status;
    if (!member->refusal[0])
        return label_table_add(ingest->labelling.table, member->name, member->bytes, member->len,
                               on_rejected, ingest, err);
    on_rejected(ingest, member->name, member->refusal);
    return OK;
}

/* Why the content, seen by its first bytes, is no picture; NULL when it may be one. */
static const char *refused_content(const struct archive_member *member)
{
    if (member->len == 0)
        return "It is empty.";
    if (archive_is_known(member->bytes, member->len))
        return "It is an archive or a compressed file; unpack it first.";
    return image_refusal(member->bytes, member->len);
}

static enum status take_member(struct ingest *ingest, const struct archive_member *member,
                               struct err *err)
{
    const char *reason = member->refusal[0] ? member->refusal : NULL;
    enum status status = OK;
    if (member->ignored)
        return OK;
    if (!reason && is_skipped(ingest, member->ordinal))
        reason = "Decoding it crashed or did not come to an end.";
    if (!reason && ingest->labelling.table && label_table_is_named(member->name))
        return take_table(ingest, member, err);
    if (!reason) {
        report_item(ingest->report, member->ordinal);
        if ((status = archive_reader_fill(ingest->reader, ARCHIVE_SNIFF, err)))
            return status;
        reason = member->refusal[0] ? member->refusal : refused_content(member);
    }
    if (!reason) {
        if ((status = archive_reader_fill(ingest->reader, ARCHIVE_WHOLE, err)))
            return status;
        reason = member->refusal[0] ? member->refusal : NULL;
    }
    if (!reason)
        return take_picture(ingest, member, err);
    on_rejected(ingest, member->name, reason);
    return OK;
}

/* What is left of a member that was not wanted may be gigabytes: passed over in pieces, so that the
 * parent hears of progress and is heard. */
static enum status pass_over(struct ingest *ingest, int64_t size, struct err *err)
{
    enum status status;
    bool done = false;
    do {
        status = report_check(ingest->report, err);
        if (!status)
            status = archive_reader_drain(ingest->reader, DRAIN_BYTES, &done, err);
        report_progress(ingest->report, (int64_t)archive_reader_position(ingest->reader), size);
    } while (!status && !done);
    return status;
}

static enum status take_members(struct ingest *ingest, struct err *err)
{
    struct archive_member *member;
    int64_t size = (int64_t)archive_reader_size(ingest->reader);
    enum status status;
    while (!(status = archive_reader_next(ingest->reader, &member, err)) && member)
        if ((status = take_member(ingest, member, err)) || (status = pass_over(ingest, size, err)))
            return status;
    if (!status)
        report_progress(ingest->report, size, size);
    return status;
}

/* --- Results ------------------------------------------------------------------------------- */

static struct json *make_result(struct ingest *ingest, const struct arrangement *arrangement)
{
    static const char *const split_names[N_SPLITS] = {"train", "valid", "test", "unlabelled"};
    struct json *result = json_new_object();
    uint64_t items = 0;
    for (int i = 0; i < N_SPLITS; i++)
        items += arrangement->split_items[i];
    json_set_string(result, "kind", "image");
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
    json_set_integer(result, "bytes", (int64_t)pack_writer_bytes(ingest->writer));
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
static enum status write_results(struct ingest *ingest, const struct arrangement *arrangement,
                                 struct err *err)
{
    enum status status = pack_writer_finish(
        ingest->writer, (const char *const *)arrangement->class_names, arrangement->n_classes, err);
    if (status || (status = commit(ingest, "pack", err)) || (status = commit(ingest, "index", err)))
        return status;
    struct json *result = make_result(ingest, arrangement);
    char *text = json_text(result);
    char *path = mem_printf("%s/result.json", ingest->out);
    status = fs_write_file(path, text, strlen(text), err);
    if (!status) {
        struct json *header = json_new_object();
        json_set_string(header, "type", "result");
        if (!report_is_wire(ingest->report))
            json_set(header, "dataset", json_copy(result));
        report_send(ingest->report, header);
        json_free(header);
    }
    mem_free(path);
    mem_free(text);
    json_free(result);
    return status;
}

static enum status finish(struct ingest *ingest, struct err *err)
{
    struct arrangement arrangement;
    if (pack_writer_n_items(ingest->writer) == 0) {
        if (ingest->n_rejected == 0)
            err_set(err, E_INVALID, "The archive is empty.");
        else
            err_set(err, E_INVALID,
                    "The archive holds no usable picture; %lld members were rejected, the first "
                    "was %s",
                    (long long)ingest->n_rejected, ingest->first_rejected.detail);
        err_name(err, "no_images", "JPEG, PNG and WebP pictures are read.");
        return E_INVALID;
    }
    enum status status =
        arrange(ingest->writer, &ingest->labelling, on_rejected, ingest, &arrangement, err);
    if (status)
        return status;
    status = write_results(ingest, &arrangement, err);
    arrangement_deinit(&arrangement);
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

static enum status open_all(struct ingest *ingest, const struct json *document, struct err *err)
{
    struct archive_limits limits = archive_default_limits();
    const char *upload = json_string(document, "upload", "");
    ingest->out = json_string(document, "out", "");
    ingest->skip = json_get(document, "skip");
    ingest->max_pixels = IMAGE_MAX_PIXELS;
    enum status status = labelling_init(&ingest->labelling, json_get(document, "options"), err);
    if (!status)
        status = read_limits(json_get(document, "limits"), &limits, &ingest->max_pixels, err);
    if (status)
        return status;
    ingest->upload_fd = open(upload, O_RDONLY | O_CLOEXEC);
    if (ingest->upload_fd < 0)
        return err_errno(err, "The upload %s cannot be opened", upload);
    if ((status = archive_reader_open(ingest->upload_fd, &limits, &ingest->reader, err)) ||
        (status = open_part(ingest, "pack", &ingest->pack_fd, err)) ||
        (status = open_part(ingest, "index", &ingest->index_fd, err)))
        return status;
    ingest->writer = pack_writer_new(ingest->pack_fd, ingest->index_fd);
    return OK;
}

static void close_all(struct ingest *ingest)
{
    archive_reader_close(ingest->reader);
    pack_writer_free(ingest->writer);
    labelling_deinit(&ingest->labelling);
    json_free(ingest->rejected);
    const int fds[] = {ingest->upload_fd, ingest->pack_fd, ingest->index_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static enum status run(struct report *report, const struct json *document, struct err *err)
{
    struct ingest ingest = {.report = report, .upload_fd = -1, .pack_fd = -1, .index_fd = -1};
    ingest.rejected = json_new_array();
    enum status status = open_all(&ingest, document, err);
    if (!status) {
        report_started(report, 1, NULL);
        status = take_members(&ingest, err);
    }
    if (!status)
        status = finish(&ingest, err);
    if (status)
        remove_parts(&ingest);
    close_all(&ingest);
    return status;
}

static const struct verb_flag flags[] = {
    {"--upload", "upload", FLAG_INPUT, "FILE", "a zip, tar, tar.gz or tar.zst of pictures", true},
    {"--out", "out", FLAG_OUTPUT, "DIR", "gets pack, index and result.json", true},
    {"--label-regex", "options.label_regex", FLAG_TEXT, "RE",
     "labels by file name: the first group, on the path", false},
    {"--label-column", "options.label_column", FLAG_TEXT, "NAME", "of labels.csv (label)", false},
    {"--group-regex", "options.group_regex", FLAG_TEXT, "RE",
     "what belongs together: the first group, on the path", false},
    {"--group-column", "options.group_column", FLAG_TEXT, "NAME",
     "of labels.csv: what belongs together", false},
    {"--max-pixels", "limits.max_pixels", FLAG_INTEGER, "N", "of one picture (100000000)", false},
    {"--max-bytes", "limits.max_bytes", FLAG_INTEGER, "N", "unpacked in all (1 TiB)", false},
};

const struct verb verb_ingest = {
    .name = "ingest",
    .summary = "makes a data set of an archive of pictures",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = run,
};
