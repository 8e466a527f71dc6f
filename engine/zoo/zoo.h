/* zoo.h -- the networks there are: one table, one builder each.
 *
 * A network is a body and a classifier. Parameter names and shapes are torchvision's, so that
 * published weights fit by name; the classifier is either the network's original one, or the new
 * head that transfer learning puts in its place (head.h), whose names are head.N.*.
 * Layer groups are fastai's: the last group is always the classifier or head, and the ones below it
 * split the body, for discriminative learning rates and for freezing. */
#ifndef THAW_ENGINE_ZOO_ZOO_H
#define THAW_ENGINE_ZOO_ZOO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/core/graph.h"

#define ZOO_MAX_GROUPS 8

struct zoo_net {
    const char *name;                   /* "resnet34" */
    const char *summary;                /* one line for people */
    const char *groups[ZOO_MAX_GROUPS]; /* names, lowest first; the last is "head" */
    int n_groups;
    int (*build_body)(struct graph *graph, int input); /* the node where the body is cut */
    int (*build_classifier)(struct graph *graph, int body, int64_t classes); /* the original */
    const char *classifier; /* prefix of the original classifier's parameters: "fc" */
    int64_t body_channels;  /* of the body's output; the head reads twice as many */
    int64_t size;           /* the image side it was made for */
    int64_t parameters; /* with its original classifier for `classes` classes; 0 = unpublished */
    int64_t classes;    /* of the published weights; 0 = there are none */
    double top1;        /* published ImageNet accuracy, percent; 0 = none */
    const char *file, *url, *sha256_prefix; /* the published file, NULL = none */
};

size_t zoo_count(void);
const struct zoo_net *zoo_at(size_t index);
const struct zoo_net *zoo_find(const char *name); /* NULL if unknown */
void zoo_print_names(struct buf *out);            /* "resnet18, resnet34, ..." for sentences */

enum zoo_head {
    ZOO_HEAD_ORIGINAL,
    ZOO_HEAD_V1, /* fastai v1: linear layers have a bias, norms start at 1, 0 */
    ZOO_HEAD_V2  /* fastai v2: no bias, norm biases start at 1e-3 */
};

const char *zoo_head_name(enum zoo_head head); /* "original", "v1", "v2" */
bool zoo_head_from_name(const char *name, enum zoo_head *head);

struct zoo_options {
    enum zoo_head head;
    int64_t classes;
    bool smooth; /* tests only: SiLU for ReLU, average for max pool (graph.h) */
};

/* The graph, with parameters made but not yet given values. Owned by the caller. */
struct graph *zoo_build(const struct zoo_net *net, const struct zoo_options *options);

/* Gives every parameter its starting value: Kaiming normal weights from `seed`, norms 1 and 0 (the
 * v2 head's norm biases 1e-3). */
void zoo_init(struct graph *graph, enum zoo_head head, uint64_t seed);
/* The same for the parameters of the head alone: for a body that is loaded. */
void zoo_init_head(struct graph *graph, enum zoo_head head, uint64_t seed);

/* True for the parameters of the classifier or head: the last layer group. */
bool zoo_is_head_param(const struct graph *graph, const struct param *param);

#endif
