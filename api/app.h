/* app.h -- what a handler can reach: settings, the store, and the ports to the running parts.
 *
 * The API never includes server/: whatever lives there (supervisor, predictor, event hub) is called
 * through a port, a function pointer with its own context. server/main.c fills this struct once,
 * before the first request; from then on nothing in it changes, so it needs no lock.
 * Tests fill it with fakes. */
#ifndef THAW_API_APP_H
#define THAW_API_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"

struct store;

/* One file of the page at /, embedded into the program. */
struct asset {
    const char *path; /* "/app.css" */
    const char *content_type;
    const char *bytes;
    size_t len;
    const char *etag; /* quoted */
};

/* One image or text that a model is to answer. Everything in it is borrowed until `done` was
 * called. */
struct predict_ask {
    const char *model;   /* mdl_ or ckpt_ id: asks with the same id share one resident engine */
    const char *weights; /* absolute path of the safetensors file */
    const char *kind;    /* "image" or "text" */
    const void *bytes;   /* an encoded image, at most WIRE_MAX_IMAGE; or UTF-8, WIRE_MAX_TEXT */
    size_t n_bytes;
    int top_k;
    bool tta;           /* test-time augmentation */
    int next;           /* words that a language model is to go on for */
    double temperature; /* of these */
    int64_t seed;
    /* Called exactly once, on any thread, perhaps before `predict` returns. `answer` is an object
     * {predictions:[{label, probability}]}, of a language model {perplexity, continuation, tokens};
     * valid during the call only; NULL when status is not OK. */
    void (*done)(void *arg, enum status status, const struct json *answer, const struct err *err);
    void *arg;
};

/* Weights that somebody sent, to be checked and converted. Borrowed until `done` was called. */
struct import_ask {
    const char *source;         /* absolute path of the uploaded file: weights, or an archive */
    const char *sha256;         /* of that file, hex */
    const char *name;           /* the model's name; NULL: derived from the architecture */
    const char *architecture;   /* NULL: the engine recognises it */
    const char *vocabulary;     /* absolute path of the file of words of a model of text; or NULL */
    bool backwards;             /* a model of text that reads from the end */
    const struct json *classes; /* array of names; NULL: indices, or no classifier */
    const char *base;           /* id of the base model that lacks them; NULL: a model is made */
    /* Called exactly once, on any thread. `model` is the new row's id; NULL when status is not OK.
     */
    void (*done)(void *arg, enum status status, const char *model, const struct err *err);
    void *arg;
};

/* What a job would do, before it does it. */
struct plan {
    const struct json *stages;   /* as GET /v1/jobs/{id}/schedule shows them */
    const struct json *estimate; /* server/estimate.h */
    const char *sha256;          /* blob {stages}, for the job's schedule.json */
    int64_t bytes;
};

/* A job spec to plan. Borrowed until `done` was called. */
struct plan_ask {
    const struct json *spec;  /* resolved */
    const char *dataset;      /* id of a ready one */
    const char *weights;      /* blob, or NULL */
    const char *ensemble;     /* JSON [blob...], or NULL */
    const char *architecture; /* of the model */
    bool dry;                 /* nothing is stored, and the disk's room does not matter */
    /* Called exactly once, on any thread. `plan` is valid during the call only; NULL when status is
     * not OK. E_NO_SPACE: memory or disk would not suffice, as the sentence says. E_UNAVAILABLE
     * and E_TOO_MANY: it could not be planned now, which says nothing about the spec. */
    void (*done)(void *arg, enum status status, const struct plan *plan, const struct err *err);
    void *arg;
};

/* A model in another format. Borrowed until `done` was called. */
struct export_ask {
    const char *weights; /* blob */
    const char *format;  /* "onnx", "bundle", "pth", "encoder" or "itos" */
    /* Called exactly once, on any thread. `sha256` is the blob that was made. */
    void (*done)(void *arg, enum status status, const char *sha256, const struct err *err);
    void *arg;
};

struct ports {
    void *supervisor;
    void (*wake)(void *supervisor); /* rows changed: look at the queue again; never waits */
    void (*import)(void *supervisor, const struct import_ask *ask); /* never waits */
    void (*plan)(void *supervisor, const struct plan_ask *ask);     /* never waits */
    void (*export)(void *supervisor, const struct export_ask *ask); /* never waits */

    void *puller;
    void (*pull)(void *puller); /* a base model's row asks for its weights; never waits */

    void *predictor;
    void (*predict)(void *predictor, const struct predict_ask *ask); /* never waits */
};

struct app {
    struct store *store;        /* borrowed; may be called from any thread */
    const char *data;           /* absolute path of the data directory */
    uint64_t max_upload;        /* bytes */
    const char *version;        /* this program's */
    const char *libraries_json; /* object: name -> version, or NULL */
    const char *engine_json; /* what `thaw-engine version` printed, or NULL when it cannot be run */
    const struct asset *(*asset)(const char *path); /* NULL: there is none of that path */
    struct ports ports;
};

#endif
