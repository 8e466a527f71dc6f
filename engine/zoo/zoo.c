#include "engine/zoo/zoo.h"

#include <string.h>

#include "base/mem.h"
#include "engine/zoo/head.h"
#include "engine/zoo/nets.h"

#define PYTORCH "https://download.pytorch.org/models/"

static const struct zoo_net nets[] = {
    {.name = "resnet18",
     .summary = "18-layer residual network, torchvision's",
     .groups = {"stem+layer1+layer2", "layer3+layer4", "head"},
     .n_groups = 3,
     .build_body = resnet18_body,
     .build_classifier = resnet_classifier,
     .classifier = "fc",
     .body_channels = 512,
     .size = 224,
     .parameters = 11689512,
     .classes = 1000,
     .top1 = 69.758,
     .file = "resnet18-f37072fd.pth",
     .url = PYTORCH "resnet18-f37072fd.pth",
     .sha256_prefix = "f37072fd"},
    {.name = "resnet34",
     .summary = "34-layer residual network, torchvision's",
     .groups = {"stem+layer1+layer2", "layer3+layer4", "head"},
     .n_groups = 3,
     .build_body = resnet34_body,
     .build_classifier = resnet_classifier,
     .classifier = "fc",
     .body_channels = 512,
     .size = 224,
     .parameters = 21797672,
     .classes = 1000,
     .top1 = 73.314,
     .file = "resnet34-b627a593.pth",
     .url = PYTORCH "resnet34-b627a593.pth",
     .sha256_prefix = "b627a593"},
    {.name = "resnet50",
     .summary = "50-layer residual network with bottlenecks, torchvision's",
     .groups = {"stem+layer1+layer2", "layer3+layer4", "head"},
     .n_groups = 3,
     .build_body = resnet50_body,
     .build_classifier = resnet_classifier,
     .classifier = "fc",
     .body_channels = 2048,
     .size = 224,
     .parameters = 25557032,
     .classes = 1000,
     .top1 = 80.858,
     .file = "resnet50-11ad3fa6.pth",
     .url = PYTORCH "resnet50-11ad3fa6.pth",
     .sha256_prefix = "11ad3fa6"},
    {.name = "resnet101",
     .summary = "101-layer residual network with bottlenecks, torchvision's",
     .groups = {"stem+layer1+layer2", "layer3+layer4", "head"},
     .n_groups = 3,
     .build_body = resnet101_body,
     .build_classifier = resnet_classifier,
     .classifier = "fc",
     .body_channels = 2048,
     .size = 224,
     .parameters = 44549160,
     .classes = 1000,
     .top1 = 81.886,
     .file = "resnet101-cd907fc2.pth",
     .url = PYTORCH "resnet101-cd907fc2.pth",
     .sha256_prefix = "cd907fc2"},
    {.name = "wide_resnet50_2",
     .summary = "resnet50 with bottlenecks twice as wide, torchvision's",
     .groups = {"stem+layer1+layer2", "layer3+layer4", "head"},
     .n_groups = 3,
     .build_body = wide_resnet50_2_body,
     .build_classifier = resnet_classifier,
     .classifier = "fc",
     .body_channels = 2048,
     .size = 224,
     .parameters = 68883240,
     .classes = 1000,
     .top1 = 81.602,
     .file = "wide_resnet50_2-9ba9bcbe.pth",
     .url = PYTORCH "wide_resnet50_2-9ba9bcbe.pth",
     .sha256_prefix = "9ba9bcbe"},
    {.name = "squeezenet1_1",
     .summary = "SqueezeNet 1.1, torchvision's: small and without batch norm",
     .groups = {"features[:5]", "features[5:]", "head"},
     .n_groups = 3,
     .build_body = squeezenet1_1_body,
     .build_classifier = squeezenet_classifier,
     .classifier = "classifier.1",
     .body_channels = 512,
     .size = 224,
     .parameters = 1235496,
     .classes = 1000,
     .top1 = 58.178,
     .file = "squeezenet1_1-b8a52dc0.pth",
     .url = PYTORCH "squeezenet1_1-b8a52dc0.pth",
     .sha256_prefix = "b8a52dc0"},
    {.name = "mobilenet_v2",
     .summary = "MobileNetV2, torchvision's: depthwise convolutions, for small machines",
     .groups = {"body", "head"},
     .n_groups = 2,
     .build_body = mobilenet_v2_body,
     .build_classifier = mobilenet_classifier,
     .classifier = "classifier.1",
     .body_channels = 1280,
     .size = 224,
     .parameters = 3504872,
     .classes = 1000,
     .top1 = 71.878,
     .file = "mobilenet_v2-b0353104.pth",
     .url = PYTORCH "mobilenet_v2-b0353104.pth",
     .sha256_prefix = "b0353104"},
    {.name = "thaw-small",
     .summary = "a small residual network of Thaw's own, learns fast at 64 px",
     .groups = {"stem+down1+res1", "down2+down3+res3", "head"},
     .n_groups = 3,
     .build_body = thaw_small_body,
     .build_classifier = thaw_small_classifier,
     .classifier = "fc",
     .body_channels = 256,
     .size = 64},
};

static const char *const head_names[] = {
    [ZOO_HEAD_ORIGINAL] = "original", [ZOO_HEAD_V1] = "v1", [ZOO_HEAD_V2] = "v2"};

size_t zoo_count(void)
{
    return ARRAY_LEN(nets);
}

const struct zoo_net *zoo_at(size_t index)
{
    return &nets[index];
}

const struct zoo_net *zoo_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(nets); i++)
        if (strcmp(nets[i].name, name) == 0)
            return &nets[i];
    return NULL;
}

void zoo_print_names(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(nets); i++)
        buf_printf(out, "%s%s", i ? ", " : "", nets[i].name);
}

const char *zoo_head_name(enum zoo_head head)
{
    return head_names[head];
}

bool zoo_head_from_name(const char *name, enum zoo_head *head)
{
    for (size_t i = 0; i < ARRAY_LEN(head_names); i++) {
        if (strcmp(head_names[i], name) == 0) {
            *head = (enum zoo_head)i;
            return true;
        }
    }
    return false;
}

struct graph *zoo_build(const struct zoo_net *net, const struct zoo_options *options)
{
    struct graph *graph = graph_new();
    graph->smooth = options->smooth;
    int body = net->build_body(graph, graph_input(graph, 3));
    graph_begin_group(graph, net->n_groups - 1);
    int logits = options->head == ZOO_HEAD_ORIGINAL
                     ? net->build_classifier(graph, body, options->classes)
                     : head_build(graph, body, options->classes, options->head == ZOO_HEAD_V1);
    graph_set_output(graph, logits);
    return graph;
}

static void fill(struct param *param, float value)
{
    float *plain = mem_alloc(param->n_elements * sizeof *plain);
    for (size_t i = 0; i < param->n_elements; i++)
        plain[i] = value;
    param_write(param, PARAM_VALUE, plain);
    mem_free(plain);
}

static void init(struct graph *graph, enum zoo_head head, uint64_t seed, bool head_only)
{
    for (int i = 0; i < graph->n_params; i++) {
        struct param *param = graph->params[i];
        bool of_head = zoo_is_head_param(graph, param);
        if (head_only && !of_head)
            continue;
        param_init(param, seed);
        if (of_head && head == ZOO_HEAD_V2 && param->kind == PARAM_NORM_BIAS)
            fill(param, 1e-3f);
    }
}

void zoo_init(struct graph *graph, enum zoo_head head, uint64_t seed)
{
    init(graph, head, seed, false);
}

void zoo_init_head(struct graph *graph, enum zoo_head head, uint64_t seed)
{
    init(graph, head, seed, true);
}

bool zoo_is_head_param(const struct graph *graph, const struct param *param)
{
    return param->group == graph->n_groups - 1;
}
