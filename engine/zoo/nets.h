/* nets.h -- the builders that zoo.c's table names: one pair a network family. */
#ifndef THAW_ENGINE_ZOO_NETS_H
#define THAW_ENGINE_ZOO_NETS_H

#include <stdint.h>

#include "engine/core/graph.h"

int resnet18_body(struct graph *graph, int input);
int resnet34_body(struct graph *graph, int input);
int resnet50_body(struct graph *graph, int input);
int resnet101_body(struct graph *graph, int input);
int wide_resnet50_2_body(struct graph *graph, int input);
int resnet_classifier(struct graph *graph, int body, int64_t classes);

int squeezenet1_1_body(struct graph *graph, int input);
int squeezenet_classifier(struct graph *graph, int body, int64_t classes);

int mobilenet_v2_body(struct graph *graph, int input);
int mobilenet_classifier(struct graph *graph, int body, int64_t classes);

int thaw_small_body(struct graph *graph, int input);
int thaw_small_classifier(struct graph *graph, int body, int64_t classes);

#endif
