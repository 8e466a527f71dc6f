/* body.h -- the bytes of a request's body: to memory (JSON), to a file, or taken apart (a form).
 *
 * Only exchange.c calls this; the rules are in exchange.h. */
#ifndef THAW_SERVER_BODY_H
#define THAW_SERVER_BODY_H

#include "server/exchange.h"

uint64_t body_max_file(const struct exchange *exchange); /* bytes of one file on this route */

enum status body_begin(struct exchange *exchange, struct err *err);
/* Waits for the files to be on disk, then fills request.uploads and request.fields. */
enum status body_finish(struct exchange *exchange, bool *finished, struct err *err);
/* Removes what no handler took. */
void body_free(struct exchange *exchange);

#endif
