/* network.h -- a graph from its description in JSON, for tests that compare it with a reference.
 *
 *   [{"op":"input","channels":3},
 *    {"op":"conv","x":0,"name":"a","channels":8,"kernel":3,"stride":1,"padding":1,"bias":true},
 *    {"op":"relu","x":1,"smooth":true}, {"op":"add","x":1,"y":2}, ...]
 *
 * A layer's place in the list is its node's index; the last one is the output. "group" begins a
 * layer group, "smooth" asks for the smooth twin of a ReLU or max pool (graph.h). */
#ifndef THAW_TESTS_NETWORK_H
#define THAW_TESTS_NETWORK_H

#include "base/json.h"
#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/format/tensor_source.h"

/* E_INVALID for an op that there is not. *graph is owned by the caller. */
enum status network_build(const struct json *layers, struct graph **graph, struct err *err);

/* Reads PREFIX + NAME of every parameter into `part`. E_INVALID when one is missing or has another
 * shape, or when the file holds a tensor of that prefix that the graph has no parameter for. */
enum status network_load(struct graph *graph, const struct tensor_source *source,
                         const char *prefix, enum param_part part, struct err *err);

/* The tensor's numbers into `out`, which holds n. */
enum status network_read(const struct tensor_source *source, const char *name, size_t n, float *out,
                         struct err *err);

#endif
