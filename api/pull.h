/* pull.h -- the JSON form of POST /v1/models. */
#ifndef THAW_API_PULL_H
#define THAW_API_PULL_H

#include "api/routes.h"

handler_fn pull_post; /* replies at once, by request->resume like its route */

#endif
