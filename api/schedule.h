/* schedule.h -- the body that a dry run and GET /v1/jobs/{id}/schedule share. */
#ifndef THAW_API_SCHEDULE_H
#define THAW_API_SCHEDULE_H

#include "api/request.h"
#include "base/json.h"

/* ?points=N: rows a stage, 2 to 2000. */
enum status schedule_points(const struct request *request, int64_t *points, struct err *err);

/* {spec, stages, estimate}, a stage's rows thinned to `points`, the first and the last among them.
 * Everything is copied; `estimate` may be NULL. Owned by the caller. */
struct json *schedule_body(const struct json *spec, const struct json *stages,
                           const struct json *estimate, int64_t points);

#endif
