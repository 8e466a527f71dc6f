/* conditional.h -- If-None-Match, Range and If-Range on a reply that is complete (RFC 9110). */
#ifndef THAW_SERVER_CONDITIONAL_H
#define THAW_SERVER_CONDITIONAL_H

#include "server/exchange.h"

/* Turns a 200 into a 304, a 206 or a 416 where the request's headers ask for it. */
void conditional_apply(struct exchange *exchange);

#endif
