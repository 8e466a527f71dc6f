/* router.h -- from a complete request to a complete reply: key, handler, error, conditions. */
#ifndef THAW_SERVER_ROUTER_H
#define THAW_SERVER_ROUTER_H

#include <stdbool.h>

#include "server/exchange.h"

/* Calls the handler, or answers the failure that the exchange holds. False: the
 * reply comes later; call router_complete once `wake` was called. True: the reply is complete. */
bool router_answer(struct exchange *exchange);

/* Stores the reply under its Idempotency-Key, applies If-None-Match and Range. */
void router_complete(struct exchange *exchange);

/* Gives a claimed Idempotency-Key back: the reply will never be complete. */
void router_abandon(struct exchange *exchange);

#endif
