/* datasets.h -- uploads that became, or are becoming, an immutable pack.
 *
 * A dataset is its upload's sha256 together with the parse options. While it is `processing` its
 * file lies at DATA/uploads/UPLOAD; `ready` and `failed` delete it. Pack and index are blobs. */
#ifndef THAW_STORE_DATASETS_H
#define THAW_STORE_DATASETS_H

#include "store/db.h"

enum dataset_status { DATASET_PROCESSING, DATASET_READY, DATASET_FAILED, N_DATASET_STATUS };

const char *dataset_status_name(enum dataset_status status);

struct dataset_row {
    const char *id;
    int64_t order;
    enum dataset_status status;
    const char *name, *kind;  /* kind "image" or "text"; the former until it is known */
    const char *options;      /* JSON object: the parse options, canonical */
    const char *upload;       /* file name in DATA/uploads; NULL once it is gone */
    int64_t bytes;            /* of the upload */
    const char *sha256;       /* of the upload */
    int64_t done, total;      /* progress; total 0: unknown */
    int64_t items;            /* usable ones; -1 until ready */
    const char *classes;      /* JSON [{name, items}] */
    const char *splits;       /* JSON {train, valid, test, unlabelled} */
    const char *rejected;     /* JSON {count, items:[{path, reason}]} */
    const char *warnings;     /* JSON [sentence] */
    const char *pack, *index; /* blobs; NULL until ready */
    const char *parent;
    const char *error; /* JSON {code, detail, hint} */
    int64_t created_ms;
};

/* *row needs name, kind, options, upload, bytes, sha256; the rest is filled in. Where a dataset of
 * the same bytes and options exists, *row becomes that one and *created is false; one that had
 * failed takes the new upload and is processed again. row->upload then tells the caller whether its
 * file was taken. */
enum status dataset_insert(struct store *store, struct dataset_row *row, struct arena *arena,
                           bool *created, struct err *err);
enum status dataset_get(struct store *store, const char *id, struct arena *arena,
                        struct dataset_row *row, struct err *err); /* E_NOT_FOUND */

struct dataset_list {
    struct dataset_row *rows; /* arena */
    size_t n;
    bool has_more;
};
enum status datasets_list(struct store *store, const struct page *page, struct arena *arena,
                          struct dataset_list *list, struct err *err);

/* E_CONFLICT while a job that is not terminal uses it. The pack is collected later. */
enum status dataset_delete(struct store *store, const char *id, struct err *err);

/* The supervisor's. dataset_progress is not durable. dataset_finish writes `ready` (items, classes,
 * splits, rejected, warnings, pack, index) or `failed` (error), forgets the upload and writes a
 * `state` event; E_CONFLICT when the dataset is not processing, E_NOT_FOUND when it was deleted. */
enum status dataset_progress(struct store *store, const char *id, int64_t done, int64_t total,
                             struct err *err);
enum status dataset_finish(struct store *store, const struct dataset_row *row, struct err *err);
enum status datasets_processing(struct store *store, struct arena *arena, struct dataset_list *list,
                                struct err *err); /* oldest first */

#endif
