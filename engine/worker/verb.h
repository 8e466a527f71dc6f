/* verb.h -- a verb of thaw-engine: what it is called, what it takes, how it runs.
 *
 * A verb's file ends with its `const struct verb verb_NAME`; main.c lists them. The document a verb
 * reads is the same however it was launched: thawd sends it whole (api/spec/wire.h, DOCUMENTS),
 * by hand it is built from the flag table, which also gives --help and tells the sandbox which
 * paths to open. */
#ifndef THAW_ENGINE_WORKER_VERB_H
#define THAW_ENGINE_WORKER_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/worker/report.h"

enum flag_kind {
    FLAG_TEXT,
    FLAG_INTEGER,
    FLAG_NUMBER,
    FLAG_SWITCH, /* present: true */
    FLAG_TEXTS,  /* may be repeated: an array of strings */
    FLAG_INPUT,  /* a file or folder to read; made absolute; the sandbox lets it be read */
    FLAG_INPUTS, /* may be repeated */
    FLAG_OUTPUT, /* a folder to write, made and locked by main.c; the sandbox lets it be written */
    FLAG_NEW_FILE, /* a file or folder to make; the folder it lies in is made and may be written */
    FLAG_JSON      /* a JSON file, read before the sandbox: its content stands in the document */
};

struct verb_flag {
    const char *name; /* "--pack" */
    const char *key;  /* "pack"; a dot makes an object inside: "options.label_regex" */
    enum flag_kind kind;
    const char *value; /* what --help calls the value: "FILE"; NULL for a switch */
    const char *help;
    bool required;
};

struct verb {
    const char *name;
    const char *summary; /* one line of --help */
    const struct verb_flag *flags;
    size_t n_flags;
    /* May be NULL. Before the sandbox shuts: loads what it would hide. Reads no stranger's bytes
     * but the document. */
    void (*prepare)(const struct json *document);
    /* Reports as it goes and ends with a `result` header; a failure is returned, main.c reports it
     * and makes it the exit code. */
    enum status (*run)(struct report *report, const struct json *document, struct err *err);
    /* What its sandbox allows beyond the paths of its flags: threads and the executable memory that
     * oneDNN writes its kernels into. The verbs that parse strangers' bytes go without. */
    bool runs_kernels;
};

extern const struct verb verb_ingest, verb_import, verb_plan, verb_train, verb_predict, verb_export,
    verb_synth, verb_bench;

#endif
