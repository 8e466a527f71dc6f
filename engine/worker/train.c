/* train.c -- the verb `train`: a job spec, a pack and weights in, checkpoints out.
 *
 * The trainer (engine/train/trainer.h) knows no wire: here its hooks meet the report. */
#include <string.h>

#include "base/mem.h"
#include "engine/train/evaluate.h"
#include "engine/train/evaluate_subject.h"
#include "engine/train/trainer.h"
#include "engine/worker/document.h"
#include "engine/worker/verb.h"

static void started(void *context, int threads, const char *plan_sha256)
{
    report_started(context, threads, plan_sha256);
}

static void send(void *context, const struct json *header)
{
    report_send(context, header);
}

static enum trainer_request poll_requests(void *context)
{
    static const enum trainer_request requests[] = {
        [REQUEST_NONE] = TRAINER_GO_ON,
        [REQUEST_CHECKPOINT] = TRAINER_CHECKPOINT,
        [REQUEST_PAUSE] = TRAINER_PAUSE,
        [REQUEST_CANCEL] = TRAINER_CANCEL,
    };
    return requests[report_poll(context)];
}

static bool go_on(void *context, int64_t done, int64_t all)
{
    enum report_request request = report_poll(context);
    report_progress_of(context, "texts", done, all);
    return request != REQUEST_PAUSE && request != REQUEST_CANCEL;
}

static enum status run(struct report *report, const struct json *document, struct err *err)
{
    struct json *spec = NULL;
    int threads = 0;
    enum status status = document_spec(document, &spec, err);
    if (status == OK)
        status = document_threads(document, spec, &threads, err);
    struct trainer_options options = {
        .spec = spec,
        .pack = json_string(document, "pack", NULL),
        .index = json_string(document, "index", NULL),
        .weights = json_string(document, "weights", NULL),
        .ensemble = json_get(document, "ensemble"),
        .folder = json_string(document, "out", NULL),
        .threads = threads,
        .go_on = go_on,
        .context = report,
    };
    bool random = strcmp(json_string(spec, "weights", ""), "random") == 0 ||
                  json_type(json_get(spec, "model")) == JSON_NULL;
    struct trainer_hooks hooks = {
        .context = report, .started = started, .send = send, .poll = poll_requests};
    if (status == OK && !options.weights && !random)
        status = err_set(err, E_INVALID,
                         "There are no weights to start from: give --weights FILE, or say "
                         "\"weights\": \"random\" in the spec.");
    if (status == OK)
        status = evaluate_is_task(spec) ? evaluate_run(&options, &hooks, err)
                                        : trainer_run(&options, &hooks, err);
    json_free(spec);
    return status;
}

static const struct verb_flag flags[] = {
    {"--spec", "spec", FLAG_JSON, "FILE", "job spec", true},
    {"--pack", "pack", FLAG_INPUT, "FILE", "the data set's pack", true},
    {"--index", "index", FLAG_INPUT, "FILE", "and its index", true},
    {"--weights", "weights", FLAG_INPUT, "FILE", "weights to start from", false},
    {"--ensemble", "ensemble", FLAG_INPUTS, "FILE",
     "of an evaluation: a model that is averaged with --weights", false},
    {"--out", "out", FLAG_OUTPUT, "FOLDER", "for checkpoints; goes on from what is there", true},
    {"--threads", "threads", FLAG_INTEGER, "N", "of the kernels and the loader (all cores)", false},
};

const struct verb verb_train = {
    .name = "train",
    .summary = "trains a network on a pack, stage by stage, and resumes by itself",
    .flags = flags,
    .n_flags = ARRAY_LEN(flags),
    .run = run,
    .runs_kernels = true,
};
