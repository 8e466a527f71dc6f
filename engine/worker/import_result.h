/* import_result.h -- the end of every import: the model file, then out/result.json. */
#ifndef THAW_ENGINE_WORKER_IMPORT_RESULT_H
#define THAW_ENGINE_WORKER_IMPORT_RESULT_H

#include "engine/core/graph.h"
#include "engine/format/model_file.h"
#include "engine/worker/report.h"

#define IMPORT_GROUP_NAME 64

struct imported {
    const struct model_info *info; /* borrowed, as is all of it */
    const struct graph *graph;
    int n_groups; /* of the graph's, those that are in the file */
    void (*name_group)(const void *context, int group, char name[IMPORT_GROUP_NAME]);
    const void *context;
    int64_t n_classes; /* 0: no classifier */
};

/* Writes out/weights.safetensors, then out/result.json, and sends the result. */
enum status import_write(struct report *report, const char *out, const struct imported *imported,
                         struct err *err);

/* Class names in `classes` or `classes_file` of the document; NULL when none are. Owned by the
 * caller. */
enum status import_given_classes(const struct json *document, struct json **classes,
                                 struct err *err);

/* Settles the model's classes: those given (taken), else the file's own, else indices; as many as
 * the classifier has (`rows`; 0: there is none). */
enum status import_settle_classes(struct model_info *info, int64_t rows, struct json *given,
                                  struct err *err);

/* A model of this service keeps the story it came with; another begins with its file's format and
 * whose names its tensors had (NULL: nobody's). */
void import_set_lineage(struct model_info *info, const struct tensor_source *source,
                        const char *convention);

#endif
