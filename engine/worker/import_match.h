/* import_match.h -- which network of the zoo a weights file is, and whether it is whole. */
#ifndef THAW_ENGINE_WORKER_IMPORT_MATCH_H
#define THAW_ENGINE_WORKER_IMPORT_MATCH_H

#include "engine/format/model_file.h"
#include "engine/format/tensor_source.h"
#include "engine/zoo/zoo.h"

struct import_match {
    const struct zoo_net *net;
    struct graph *graph; /* owned; parameters without values */
    struct model_info info;
    int64_t rows;     /* of the classifier: its number of classes; 0: the file has none */
    char prefix[112]; /* of the classifier's parameters, where the file has none: to be skipped */
};

/* Finds the network by `architecture` (NULL: recognised by names and shapes) and builds its graph
 * with the classifier that the file has. info is filled but for the classes, which a model that
 * this service wrote brings along. E_INVALID: no such network, not recognised, tensors missing or
 * of another shape (all counted, the first few named). */
enum status import_match(const struct tensor_source *source, const char *architecture,
                         struct import_match *match, struct err *err);
void import_match_deinit(struct import_match *match);

#endif
