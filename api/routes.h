/* routes.h -- every route of the service in one const table.
 *
 * Dispatch, 404 told from 405 with its Allow, HEAD, which bodies and query parameters a route
 * takes, which scope it needs, and the list in the documentation all derive from this table. To add
 * a route: write its handler in api/NAME.c, declare it in api/handlers.h, add one row. */
#ifndef THAW_API_ROUTES_H
#define THAW_API_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "api/app.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/status.h"

typedef enum status handler_fn(struct app *app, const struct request *request, struct reply *reply,
                               struct err *err);

enum scope { SCOPE_PUBLIC, SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN };

enum route_flag {
    ROUTE_CREATES = 1, /* Idempotency-Key is honoured */
    ROUTE_DURABLE = 2, /* uploads are fsynced before the handler is called */
    ROUTE_DEFERS = 4,  /* OK from the handler means: the reply comes later (request.resume) */
    ROUTE_IMAGES = 8,  /* an upload is one image: bounded by WIRE_MAX_IMAGE */
};

struct route {
    const char *method;  /* GET also answers HEAD */
    const char *pattern; /* "/v1/jobs/{id}/events"; {x} matches one non-empty segment */
    handler_fn *handler;
    enum scope scope;
    unsigned body;     /* set of enum body_kind */
    unsigned flags;    /* set of enum route_flag */
    const char *query; /* names of the query parameters, separated by spaces */
    const char *summary;
};

extern const struct route routes[];
extern const size_t n_routes;

/* The route for method and path, with params filled (arena). HEAD finds GET's.
 * E_NOT_FOUND; or E_METHOD with the methods that exist in `allow` ("GET, HEAD, DELETE"). */
enum status route_find(const char *method, const char *path, struct arena *arena,
                       const struct route **route, struct pair params[REQUEST_MAX_PARAMS],
                       size_t *n_params, char allow[64], struct err *err);

/* Every query parameter must be one the route knows: else E_SYNTAX naming the nearest. */
enum status route_check_query(const struct route *route, const struct pair *query, size_t n_query,
                              struct err *err);

#endif
