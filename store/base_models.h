/* base_models.h -- the networks that are known by name: one list, seeded as rows at every start.
 *
 * thaw-engine has the networks themselves (engine/zoo/zoo.c); a test compares the two lists. To add
 * one: a row in the table of base_models.c. A row of the database whose weights came later keeps
 * them. */
#ifndef THAW_STORE_BASE_MODELS_H
#define THAW_STORE_BASE_MODELS_H

#include <stdbool.h>

#include "store/blobs.h"

struct base_model {
    const char *name;
    int64_t parameters; /* with the published classifier; -1: none is published */
    const char *groups; /* JSON, as in struct model_row */
    double accuracy;    /* published, ImageNet-1k's validation set, top 1; 0: none */
    const char *file;   /* published by torchvision: NAME-HASH.pth, where HASH is how the file's
                           SHA-256 begins; or by fastai, with head_md5; NULL: none */
    double mebibytes;   /* of that file, as the publisher says */

    /* Of models of text: */
    const char *architecture; /* NULL: as the name */
    const char *url;          /* of the folder that the file is in; NULL: BASE_MODELS_URL */
    const char *head_md5;     /* of the file's first MiB, and `bytes` of all of it: what fastai
                                 publishes of its archives */
    int64_t bytes;
    bool backwards; /* it reads texts from their end */
};

#define BASE_MODELS_URL      "https://download.pytorch.org/models/"
#define BASE_MODELS_TEXT_URL "https://s3.amazonaws.com/fast-ai-modelzoo/"

extern const struct base_model base_models[];
extern const size_t n_base_models;

const struct base_model *base_model_find(const char *name); /* NULL: no such network */
bool base_model_is_text(const struct base_model *base);
const char *base_model_architecture(const struct base_model *base);

enum status base_models_seed(struct store *store, struct err *err);

/* The weights of a base model are there now. They take the place of those that it had. */
enum status base_model_set_weights(struct store *store, const char *name, const struct blob *blob,
                                   struct err *err);

#endif
