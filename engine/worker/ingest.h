/* ingest.h -- what the parts of the verb `ingest` share: ingest.c opens and finishes,
 * ingest_images.c and ingest_texts.c read. */
#ifndef THAW_ENGINE_WORKER_INGEST_H
#define THAW_ENGINE_WORKER_INGEST_H

#include "base/json.h"
#include "engine/data/archive.h"
#include "engine/data/arrange.h"
#include "engine/worker/report.h"

struct ingest {
    struct report *report;       /* borrowed */
    const struct json *document; /* borrowed */
    const char *out;             /* borrowed */
    struct archive_limits limits;
    uint64_t max_pixels;
    int upload_fd, pack_fd, index_fd; /* owned */
    uint64_t upload_bytes;
    struct json *rejected; /* owned; [{path, reason}] */
    int64_t n_rejected;
    struct err first_rejected; /* for the sentence when nothing is left */
    struct json *warnings;     /* owned; sentences */
};

/* What a data set turned out to be. */
struct ingested {
    const char *kind; /* "image" or "text" */
    struct arrangement arrangement;
    uint64_t bytes; /* of the pack */
};

/* Lists a member, or a row, that cannot be used; `context` is the ingest. */
void ingest_reject(void *context, const char *path, const char *reason);
/* Is the member on the document's list of those that broke an engine? */
bool ingest_is_skipped(const struct ingest *ingest, int64_t ordinal);
/* What is left of a member that was not wanted, however large. */
enum status ingest_pass_over(struct ingest *ingest, struct archive_reader *reader, struct err *err);

/* Each writes pack and index; the arrangement is the caller's. */
enum status ingest_images(struct ingest *ingest, struct ingested *ingested, struct err *err);
enum status ingest_documents(struct ingest *ingest, struct ingested *ingested, struct err *err);
/* The upload itself, or these members of it, which are an archive's, ascending. */
enum status ingest_tables(struct ingest *ingest, const char *const *members, size_t n,
                          struct ingested *ingested, struct err *err);

/* What an archive holds, by a first look at every member. */
#define INGEST_MAX_TABLES 16
struct survey {
    bool images;                     /* a picture was found, or nothing of use at all */
    char *tables[INGEST_MAX_TABLES]; /* owned; ascending; else `n_tables` is 0: documents */
    size_t n_tables;
};
enum status ingest_survey(struct ingest *ingest, struct survey *survey, struct err *err);
void survey_deinit(struct survey *survey);

#endif
