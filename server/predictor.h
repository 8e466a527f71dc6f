/* predictor.h -- resident engines that answer predictions: a small pool, least recently used first
 * out.
 *
 * Asks for the same weights share one `thaw-engine predict`, many in flight. One thread of its own
 * polls them; answers are given on it. An engine that dies fails what it was working on once: each
 * ask is tried a second time on a new engine. An engine nobody asked for a minute ends. */
#ifndef THAW_SERVER_PREDICTOR_H
#define THAW_SERVER_PREDICTOR_H

#include "api/app.h"
#include "base/status.h"

struct predictor;

struct predictor_options {
    const char *engine;     /* path of thaw-engine */
    const char *sandbox;    /* "auto", "require", "off" */
    const char *log;        /* file for what the engines say on stderr */
    int max_engines;        /* 0: 2 */
    int threads;            /* of one engine; 0: the online CPUs */
    double idle_seconds;    /* 0: 60 */
    double timeout_seconds; /* from ask to answer; 0: 60 */
};

enum status predictor_start(const struct predictor_options *options, struct predictor **predictor,
                            struct err *err);
/* Answers what is still open with E_UNAVAILABLE, ends the engines and the thread, frees. */
void predictor_stop(struct predictor *predictor);

/* The port of api/app.h; `predictor` is a struct predictor. Any thread; never waits. */
void predictor_ask(void *predictor, const struct predict_ask *ask);

#endif
