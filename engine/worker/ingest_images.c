/* ingest_images.c -- see ingest.h: an archive of pictures becomes a pack.
 *
 * Members stream from the archive into the pack, each picture decoded once to prove it, and
 * announced before, so that a crash or a hang names its member: thawd then starts again with that
 * ordinal in `skip`. */
#include "engine/data/image.h"
#include "engine/data/pack.h"
#include "engine/worker/ingest.h"

struct images {
    struct ingest *ingest;         /* borrowed */
    struct archive_reader *reader; /* owned */
    struct pack_writer *writer;    /* owned */
    struct labelling labelling;    /* owned */
};

/* Takes a picture into the pack, or rejects it. */
static enum status take_picture(struct images *images, const struct archive_member *member,
                                struct err *err)
{
    struct image_header header;
    struct err why = {0};
    enum status status =
        image_read_header(member->bytes, member->len, images->ingest->max_pixels, &header, &why);
    if (!status)
        status = image_check(member->bytes, member->len, &header, &why);
    if (status) {
        ingest_reject(images->ingest, member->name, why.detail);
        return OK;
    }
    struct pack_record record = {.label = PACK_NO_LABEL,
                                 .split = N_SPLITS,
                                 .format = (uint8_t)header.format,
                                 .orientation = (uint8_t)header.orientation,
                                 .width = (uint32_t)header.width,
                                 .height = (uint32_t)header.height};
    return pack_writer_add(images->writer, &record, member->name, member->bytes, member->len, err);
}

/* A table that says labels: read at once, used when all members are known. */
static enum status take_table(struct images *images, const struct archive_member *member,
                              struct err *err)
{
    enum status status = archive_reader_fill(images->reader, ARCHIVE_WHOLE, err);
    if (status)
        return status;
    if (!member->refusal[0])
        return label_table_add(images->labelling.table, member->name, member->bytes, member->len,
                               ingest_reject, images->ingest, err);
    ingest_reject(images->ingest, member->name, member->refusal);
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

static enum status take_member(struct images *images, const struct archive_member *member,
                               struct err *err)
{
    const char *reason = member->refusal[0] ? member->refusal : NULL;
    enum status status = OK;
    if (member->ignored)
        return OK;
    if (!reason && ingest_is_skipped(images->ingest, member->ordinal))
        reason = "Decoding it crashed or did not come to an end.";
    if (!reason && images->labelling.table && label_table_is_named(member->name))
        return take_table(images, member, err);
    if (!reason) {
        report_item(images->ingest->report, member->ordinal);
        if ((status = archive_reader_fill(images->reader, ARCHIVE_SNIFF, err)))
            return status;
        reason = member->refusal[0] ? member->refusal : refused_content(member);
    }
    if (!reason) {
        if ((status = archive_reader_fill(images->reader, ARCHIVE_WHOLE, err)))
            return status;
        reason = member->refusal[0] ? member->refusal : NULL;
    }
    if (!reason)
        return take_picture(images, member, err);
    ingest_reject(images->ingest, member->name, reason);
    return OK;
}

static enum status take_members(struct images *images, struct err *err)
{
    struct archive_member *member;
    int64_t size = (int64_t)archive_reader_size(images->reader);
    enum status status;
    while (!(status = archive_reader_next(images->reader, &member, err)) && member)
        if ((status = take_member(images, member, err)) ||
            (status = ingest_pass_over(images->ingest, images->reader, err)))
            return status;
    if (!status)
        report_progress(images->ingest->report, size, size);
    return status;
}

static enum status arrange_all(struct images *images, struct ingested *ingested, struct err *err)
{
    struct ingest *ingest = images->ingest;
    struct arrangement *arrangement = &ingested->arrangement;
    if (pack_writer_n_items(images->writer) == 0) {
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
        arrange(images->writer, &images->labelling, ingest_reject, ingest, arrangement, err);
    if (status)
        return status;
    status = pack_writer_finish(images->writer, (const char *const *)arrangement->class_names,
                                arrangement->n_classes, err);
    ingested->bytes = pack_writer_bytes(images->writer);
    if (status)
        arrangement_deinit(arrangement);
    return status;
}

enum status ingest_images(struct ingest *ingest, struct ingested *ingested, struct err *err)
{
    struct images images = {.ingest = ingest};
    ingested->kind = "image";
    enum status status =
        labelling_init(&images.labelling, json_get(ingest->document, "options"), err);
    if (status)
        return status;
    status = archive_reader_open(ingest->upload_fd, &ingest->limits, &images.reader, err);
    if (!status) {
        images.writer = pack_writer_new(ingest->pack_fd, ingest->index_fd);
        status = take_members(&images, err);
    }
    if (!status)
        status = arrange_all(&images, ingested, err);
    archive_reader_close(images.reader);
    pack_writer_free(images.writer);
    labelling_deinit(&images.labelling);
    return status;
}
