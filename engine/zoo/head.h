/* head.h -- the new head that transfer learning puts on a cut body: fastai's create_head.
 *
 *   head.0 AdaptiveConcatPool (max, average)   (N,H,W,C) -> (N,2C)
 *   head.1 Flatten
 *   head.2 BatchNorm(2C)   head.3 Dropout .25   head.4 Linear(2C, 512)   head.5 ReLU
 *   head.6 BatchNorm(512)  head.7 Dropout .5    head.8 Linear(512, classes)
 *
 * Parameter names carry the index in that list: head.2.weight, head.4.weight, ... */
#ifndef THAW_ENGINE_ZOO_HEAD_H
#define THAW_ENGINE_ZOO_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/graph.h"

#define HEAD_HIDDEN 512

int head_build(struct graph *graph, int body, int64_t classes, bool bias); /* the logits' node */

#endif
