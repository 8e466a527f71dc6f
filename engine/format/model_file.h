/* model_file.h -- a model as this service keeps it: safetensors whose metadata say what it is.
 *
 * Tensors are the graph's parameters under torchvision's names (a new head's under head.N.*), those
 * of a model of text under fastai's (encoder.weight, rnns.N.*, decoder.bias). Metadata are strings;
 * lists and objects are JSON text. The keys below, and "text" (model_text.h), are the whole
 * contract between import, training, prediction and downloads: a model has either image_size, mean
 * and std, or "text". */
#ifndef THAW_ENGINE_FORMAT_MODEL_FILE_H
#define THAW_ENGINE_FORMAT_MODEL_FILE_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/status.h"
#include "engine/core/graph.h"
#include "engine/format/model_text.h"
#include "engine/format/tensor_source.h"

#define MODEL_KEY_FORMAT       "thaw_format"  /* MODEL_FORMAT */
#define MODEL_KEY_ARCHITECTURE "architecture" /* a name of the zoo: "resnet34"; or "awd-lstm" */
#define MODEL_KEY_HEAD                                                                             \
    "head"                                /* "original", "v1", "v2" (zoo.h), "none"; of text       \
                                             "decoder" or "pooling" (model_text.h) */
#define MODEL_KEY_CLASSES    "classes"    /* JSON array of strings, or null without a head */
#define MODEL_KEY_IMAGE_SIZE "image_size" /* decimal: "224" */
#define MODEL_KEY_MEAN       "mean"       /* JSON array of 3 numbers, on pixels in 0..1 */
#define MODEL_KEY_STD        "std"
#define MODEL_KEY_LINEAGE    "lineage" /* JSON object: origin, and the training's task; or null */

#define MODEL_FORMAT         "1"
#define MODEL_ORIGIN_BUNDLED "bundled" /* lineage.origin of weights that come with the program */
#define MODEL_MAX_CLASSES    65536
#define MODEL_MAX_LABEL      1024 /* bytes of a class name: as a pack's */

#define MODEL_HEAD_NONE "none" /* a body alone: no classifier, no classes */

struct model_info {
    char architecture[64];
    char head[16];        /* zoo_head_name(), MODEL_HEAD_NONE, or of text */
    struct json *classes; /* owned; array of strings; NULL exactly where the head has no classes */
    struct model_text text; /* owned; of a model of text; else its vocabulary is NULL, */
    int image_size;         /* and these hold */
    double mean[3], std[3];
    struct json *lineage; /* owned; an object or NULL */
};

/* 224 px, ImageNet's mean and standard deviation, no head, no classes. */
struct model_info model_info_default(const char *architecture);
void model_info_deinit(struct model_info *info);

bool model_info_is_text(const struct model_info *info);
const char *model_info_kind(const struct model_info *info); /* "image" or "text" */
/* Whether its head tells classes: neither a body alone nor a language model. */
bool model_info_has_classes(const struct model_info *info);

/* Whether its outputs are one yes or no a class (a sigmoid each), as a job of the task
 * image_multilabel trains them, not one choice among all (softmax). */
bool model_info_is_multilabel(const struct model_info *info);

/* To and from metadata (string -> string). A training snapshot adds its own keys beside these. */
struct json *model_info_metadata(const struct model_info *info); /* owned by the caller */
enum status model_info_from_metadata(const struct json *metadata, struct model_info *info,
                                     struct err *err);

/* A list of class names: 1 to MODEL_MAX_CLASSES texts, none empty, else E_INVALID. A name may stand
 * twice: ImageNet has two cranes. */
enum status model_check_classes(const struct json *classes, struct err *err);

/* Whether what a model says of itself (class names, vocabulary) will fit the header of its file,
 * with room for its tensors and what a resume file adds: to be asked before a training, not after
 * it. E_INVALID with both sizes. */
enum status model_info_check_size(const struct model_info *info, struct err *err);

/* Writes the graph's parameters, atomically; for MODEL_HEAD_NONE without its last layer group. hex
 * (may be NULL): weights_sha256. */
enum status model_file_write(const char *path, const struct model_info *info,
                             const struct graph *graph, char hex[SHA256_HEX], struct err *err);

/* Opens a file that model_file_write (or import) made; one of text has the vocabulary that its
 * tensors have rows for. Both are the caller's to close. */
enum status model_file_open(const char *path, struct tensor_source *source, struct model_info *info,
                            struct err *err);

/* How a source answers a graph's needs. */
struct model_match {
    int n_missing, n_misshapen;
    char problems[512]; /* the first few, as part of a sentence; "" when all is there */
};

/* Compares names and shapes; parameters whose name begins with `skip` (NULL: none) are left out. */
void model_file_match(const struct tensor_source *source, const struct graph *graph,
                      const char *skip, struct model_match *match);

/* Reads every parameter of the graph from the source. E_INVALID when a tensor is missing, has
 * another shape, or holds NaN or infinity: named. Tensors that the graph lacks are ignored; those
 * that begin with `skip` (NULL: none) are left as they are. */
enum status model_file_load(const struct tensor_source *source, struct graph *graph,
                            const char *skip, struct err *err);

#endif
