/* models.h -- base, imported and fine-tuned models. */
#ifndef THAW_STORE_MODELS_H
#define THAW_STORE_MODELS_H

#include "store/db.h"

struct model_row {
    const char *id;
    int64_t order;
    const char *name;           /* unique over all models */
    const char *kind;           /* "image", "text" */
    const char *architecture;   /* "resnet34", "awd-lstm" */
    const char *origin;         /* "base", "import", "job" */
    bool available;             /* can be trained from or predicted with */
    bool random;                /* nothing is published: without a file, random ones */
    const char *job, *dataset;  /* where it comes from */
    const char *classes;        /* JSON [name...]; NULL: no classifier */
    const char *groups;         /* JSON [{name, parameters}] */
    int64_t parameters;         /* -1: unknown */
    const char *metrics;        /* JSON object */
    const char *text;           /* JSON {vocabulary: number of words, embedding, hidden, layers,
                                   seq_len, max_len, backwards}; NULL: no model of text */
    const char *lineage;        /* JSON [name...]: the models it was made from, oldest first; NULL:
                                   none */
    const char *weights;        /* blob: a safetensors file; NULL when there is none */
    int64_t bytes;              /* of that file; -1: none */
    const char *weights_sha256; /* over the tensors, as the engine reports it */
    const char *progress;       /* JSON {done, total}, bytes, while it is being pulled */
    const char *error;          /* JSON {code, detail, hint}: why the last pull failed */
    int64_t created_ms;
};

/* E_CONFLICT when the name is taken. `id`, `order` and `created_ms` are filled in where empty. */
enum status model_insert(struct store *store, struct model_row *row, struct arena *arena,
                         struct err *err);
/* By id or by name; E_NOT_FOUND. */
enum status model_get(struct store *store, const char *id_or_name, struct arena *arena,
                      struct model_row *row, struct err *err);

struct model_list {
    struct model_row *rows; /* arena */
    size_t n;
    bool has_more;
};
/* `origin` NULL: all. */
enum status models_list(struct store *store, const char *origin, const struct page *page,
                        struct arena *arena, struct model_list *list, struct err *err);

/* The lineage of what is made from `parent`: its own, then its name. In the arena. */
const char *model_lineage_after(const struct model_row *parent, struct arena *arena);

/* E_CONFLICT for a base model. Jobs that start from it keep its file. */
enum status model_delete(struct store *store, const char *id, struct err *err);

#endif
