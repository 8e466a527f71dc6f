/* http.h -- the HTTP server: sockets and libmicrohttpd on one side, exchanges on the other. */
#ifndef THAW_SERVER_HTTP_H
#define THAW_SERVER_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "api/app.h"
#include "base/status.h"
#include "server/hub.h"
#include "server/upload.h"

struct http;

struct http_options {
    int listener; /* of listen_open; taken by http_start */
    int max_connections;
    const char *const *allowed_hosts; /* borrowed */
    size_t n_allowed_hosts;
    struct app *app; /* borrowed, as are the others */
    struct hub *hub;
    struct spool *spool;
};

/* From here on requests are served. */
enum status http_start(const struct http_options *options, struct http **http, struct err *err);
int http_port(const struct http *http);
const char *http_library_version(void); /* libmicrohttpd's */

/* The end comes in two steps, because replies that wait for the engine must be completed in between
 * by those who promised them. http_drain: no new request is taken, streams end, and once it returns
 * no handler runs or will run. http_stop: waits for the promised replies, closes all, frees. */
void http_drain(struct http *http);
void http_stop(struct http *http);

#endif
