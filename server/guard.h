/* guard.h -- keeps pages of other web sites away from a server on the reader's own machine.
 *
 * A browser sends any page's requests to 127.0.0.1. Three headers that a page cannot forge tell
 * them apart: Host (a name that an attacker's DNS points here is not ours), Origin and
 * Sec-Fetch-Site. Checked for every request, before its body is read. */
#ifndef THAW_SERVER_GUARD_H
#define THAW_SERVER_GUARD_H

#include <stddef.h>

#include "base/status.h"

struct guard {
    int port;                         /* where we listen */
    const char *const *allowed_hosts; /* --allowed-host: "name" (any port) or "name:port" */
    size_t n_allowed_hosts;
};

/* E_SYNTAX without a Host; E_FORBIDDEN, with the reason, for a foreign one or a foreign page.
 * Absent headers are NULL. */
enum status guard_check(const struct guard *guard, const char *host, const char *origin,
                        const char *sec_fetch_site, struct err *err);

#endif
