/* target.h -- the request target: "/v1/jobs/job_1/events?after=3" taken apart and decoded.
 *
 * Strict, since everything after this trusts it: a bad or zero escape, a control character, an
 * encoded slash or broken UTF-8 is E_SYNTAX. Segments are split before they are decoded. */
#ifndef THAW_SERVER_TARGET_H
#define THAW_SERVER_TARGET_H

#include "api/request.h"
#include "base/mem.h"
#include "base/status.h"

/* Fills path, query and n_query of `request`, in its arena. */
enum status target_parse(const char *target, struct request *request, struct err *err);

#endif
