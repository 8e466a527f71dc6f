/* guard.c -- Host, Origin and Sec-Fetch-Site. */
#include "server/guard.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_HOST 256

/* "name:port", "name", "[::1]:port" taken apart; port 80 where none is written. */
struct authority {
    char name[MAX_HOST];
    long port;
};

static bool parse_authority(const char *text, struct authority *authority)
{
    size_t len = strlen(text);
    const char *colon = strrchr(text, ':');
    if (colon && strchr(colon, ']'))
        colon = NULL;
    size_t name_len = colon ? (size_t)(colon - text) : len;
    if (name_len == 0 || name_len >= MAX_HOST)
        return false;
    memcpy(authority->name, text, name_len);
    authority->name[name_len] = 0;
    authority->port = 80;
    if (!colon)
        return true;
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits])
        return false;
    authority->port = strtol(colon + 1, NULL, 10);
    return true;
}

/* An address in numbers cannot be pointed here by somebody's DNS, so any of them is ours. */
static bool is_address(const char *name)
{
    unsigned char bytes[16];
    char inside[MAX_HOST];
    size_t len = strlen(name);
    if (inet_pton(AF_INET, name, bytes) == 1)
        return true;
    if (len < 3 || name[0] != '[' || name[len - 1] != ']')
        return false;
    memcpy(inside, name + 1, len - 2);
    inside[len - 2] = 0;
    return inet_pton(AF_INET6, inside, bytes) == 1;
}

static bool host_is_ours(const struct guard *guard, const char *host)
{
    struct authority authority;
    if (!parse_authority(host, &authority))
        return false;
    for (size_t i = 0; i < guard->n_allowed_hosts; i++) {
        const char *allowed = guard->allowed_hosts[i];
        if (strcasecmp(host, allowed) == 0 || strcasecmp(authority.name, allowed) == 0)
            return true;
    }
    if (authority.port != guard->port)
        return false;
    return strcasecmp(authority.name, "localhost") == 0 || is_address(authority.name);
}

/* The page's origin is this server under the name that the request itself used. https is what a
 * page behind a TLS proxy shows. */
static bool origin_is_ours(const char *origin, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(origin, schemes[i], len) == 0 && strcasecmp(origin + len, host) == 0)
            return true;
    }
    return false;
}

enum status guard_check(const struct guard *guard, const char *host, const char *origin,
                        const char *sec_fetch_site, struct err *err)
{
    if (!host)
        return err_set(err, E_SYNTAX, "The request has no Host header: HTTP/1.1 asks for one.");
    if (!host_is_ours(guard, host))
        return err_set(err, E_FORBIDDEN,
                       "The request was made to a host name that is not this server's: use "
                       "localhost:%d or the address in numbers, or start thawd with "
                       "--allowed-host and the name.",
                       guard->port);
    if (origin && !origin_is_ours(origin, host))
        return err_set(err, E_FORBIDDEN,
                       "The request comes from a page of another origin; only pages of this server "
                       "may call it.");
    if (sec_fetch_site && strcmp(sec_fetch_site, "same-origin") != 0 &&
        strcmp(sec_fetch_site, "none") != 0)
        return err_set(err, E_FORBIDDEN,
                       "The request comes from a page of another site (Sec-Fetch-Site); open this "
                       "server's address itself.");
    return OK;
}
