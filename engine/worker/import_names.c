/* import_names.c -- a convention is recognised by one tensor that only it has; then the first rule
 * whose beginning fits a name rewrites that beginning. */
#include "engine/worker/import_names.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct rule {
    const char *from, *to; /* beginnings of names */
};

/* fastai's learner is Sequential(body, head): the body is what torchvision's children are before
 * the cut, numbered; the head is create_head's list, whose numbers ours keeps. */
static const struct rule fastai_resnet[] = {
    {"0.0.", "conv1."},  {"0.1.", "bn1."},    {"0.4.", "layer1."}, {"0.5.", "layer2."},
    {"0.6.", "layer3."}, {"0.7.", "layer4."}, {"1.", "head."},     {NULL, NULL}};

static const struct rule fastai_squeezenet[] = {
    {"0.0.", "features."}, {"1.", "head."}, {NULL, NULL}};

/* timm's blocks.STAGE.INDEX are torchvision's features.1 to features.17. */
static const struct rule timm_mobilenet_v2[] = {{"conv_stem.", "features.0.0."},
                                                {"bn1.", "features.0.1."},
                                                {"blocks.0.0.", "features.1."},
                                                {"blocks.1.0.", "features.2."},
                                                {"blocks.1.1.", "features.3."},
                                                {"blocks.2.0.", "features.4."},
                                                {"blocks.2.1.", "features.5."},
                                                {"blocks.2.2.", "features.6."},
                                                {"blocks.3.0.", "features.7."},
                                                {"blocks.3.1.", "features.8."},
                                                {"blocks.3.2.", "features.9."},
                                                {"blocks.3.3.", "features.10."},
                                                {"blocks.4.0.", "features.11."},
                                                {"blocks.4.1.", "features.12."},
                                                {"blocks.4.2.", "features.13."},
                                                {"blocks.5.0.", "features.14."},
                                                {"blocks.5.1.", "features.15."},
                                                {"blocks.5.2.", "features.16."},
                                                {"blocks.6.0.", "features.17."},
                                                {"conv_head.", "features.18.0."},
                                                {"bn2.", "features.18.1."},
                                                {"classifier.", "classifier.1."},
                                                {NULL, NULL}};

/* Inside a block. The first has nothing to widen. */
static const struct rule timm_first_block[] = {{"conv_dw.", "conv.0.0."},
                                               {"bn1.", "conv.0.1."},
                                               {"conv_pw.", "conv.1."},
                                               {"bn2.", "conv.2."},
                                               {NULL, NULL}};
static const struct rule timm_block[] = {{"conv_pw.", "conv.0.0."},
                                         {"bn1.", "conv.0.1."},
                                         {"conv_dw.", "conv.1.0."},
                                         {"bn2.", "conv.1.1."},
                                         {"conv_pwl.", "conv.2."},
                                         {"bn3.", "conv.3."},
                                         {NULL, NULL}};

static const struct convention {
    const char *name;
    const char *sign; /* a tensor that tells it from all others */
    const struct rule *rules;
    const char *block, *first;              /* names that begin so, or so, */
    const struct rule *inner, *first_inner; /* have rules for what the first rule leaves of them */
} conventions[] = {
    {"fastai", "0.4.0.conv1.weight", fastai_resnet, NULL, NULL, NULL, NULL},
    {"fastai", "0.0.3.squeeze.weight", fastai_squeezenet, NULL, NULL, NULL, NULL},
    {"timm", "blocks.0.0.conv_dw.weight", timm_mobilenet_v2, "blocks.", "blocks.0.0.", timm_block,
     timm_first_block},
};

static const struct convention *recognise(const struct tensor_source *source)
{
    for (size_t i = 0; i < ARRAY_LEN(conventions); i++)
        if (tensor_source_find(source, conventions[i].sign))
            return &conventions[i];
    return NULL;
}

static bool begins(const char *name, const char *beginning)
{
    return beginning && strncmp(name, beginning, strlen(beginning)) == 0;
}

/* The rule for a name, and what it leaves of it; NULL when none fits. */
static const struct rule *find_rule(const struct rule *rules, const char *name, const char **rest)
{
    for (; rules->from; rules++) {
        if (begins(name, rules->from)) {
            *rest = name + strlen(rules->from);
            return rules;
        }
    }
    return NULL;
}

/* A new text, or NULL where the name stays. */
static char *rename_one(const struct convention *convention, const char *name)
{
    const char *rest = NULL, *inner_rest = NULL;
    const struct rule *rule = find_rule(convention->rules, name, &rest);
    if (!rule)
        return NULL;
    if (!begins(name, convention->block))
        return mem_printf("%s%s", rule->to, rest);
    const struct rule *inner =
        find_rule(begins(name, convention->first) ? convention->first_inner : convention->inner,
                  rest, &inner_rest);
    return inner ? mem_printf("%s%s%s", rule->to, inner->to, inner_rest) : NULL;
}

enum status import_rename(struct tensor_source *source, const char **convention, struct err *err)
{
    const struct convention *found = recognise(source);
    *convention = found ? found->name : NULL;
    for (size_t i = 0; found && i < source->n_tensors; i++) {
        char *name = rename_one(found, source->tensors[i].name);
        if (name && strlen(name) <= TENSOR_MAX_NAME)
            tensor_source_rename(source, i, name);
        else
            mem_free(name);
    }
    return found ? tensor_source_finish(source, err) : OK;
}
