/* sse.h -- an event stream as an HTTP reply: hub.h behind libmicrohttpd's content reader. */
#ifndef THAW_SERVER_SSE_H
#define THAW_SERVER_SSE_H

#include <stdint.h>

#include "base/status.h"
#include "server/hub.h"

struct MHD_Connection;
struct MHD_Response;

/* *response is the caller's to queue and destroy; the stream ends with it. E_TOO_MANY. */
enum status sse_response(struct hub *hub, struct MHD_Connection *connection, const char *job,
                         int64_t after, struct MHD_Response **response, struct err *err);

#endif
