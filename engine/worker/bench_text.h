/* bench_text.h -- `bench` for networks over text. */
#ifndef THAW_ENGINE_WORKER_BENCH_TEXT_H
#define THAW_ENGINE_WORKER_BENCH_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/core/plan.h"

struct bench_text;

bool bench_text_knows(const char *model);
/* *made is owned by the caller, set on failure too. */
enum status bench_text_new(const struct json *document, struct bench_text **made, struct err *err);
void bench_text_free(struct bench_text *bench);

/* One whole training step. */
double bench_text_seconds(struct bench_text *bench, uint64_t step);
/* What a median step of so many seconds means. */
void bench_text_describe(const struct bench_text *bench, double seconds, struct json *result);
const struct plan *bench_text_plan(const struct bench_text *bench);

#endif
