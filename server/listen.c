/* listen.c -- one listening socket. */
#include "server/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define OTHER_FILES 256 /* descriptors beside the connections' */

static enum status bind_socket(int fd, const struct addrinfo *address, const char *host, int port,
                               struct err *err)
{
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, 511) == 0)
        return OK;
    if (errno == EADDRINUSE)
        return err_set(err, E_CONFLICT,
                       "Port %d of %s is in use by another program: choose another with --listen "
                       "(port 0 picks a free one).",
                       port, host);
    return err_errno(err, "Port %d of %s cannot be listened on", port, host);
}

enum status listen_open(const char *host, int port, int *fd, struct err *err)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    char service[12];
    snprintf(service, sizeof(service), "%d", port);
    int code = getaddrinfo(host, service, &hints, &address);
    if (code)
        return err_set(err, E_INVALID, "The address %s cannot be used: %s.", host,
                       gai_strerror(code));
    *fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum status status = *fd < 0 ? err_errno(err, "A socket cannot be made")
                                 : bind_socket(*fd, address, host, port, err);
    freeaddrinfo(address);
    if (status && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

void listen_raise_file_limit(int max_connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)max_connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        log_event(LOG_WARN, "http", "few files may be open: not all connections can be served",
                  "limit=%llu wanted=%llu", (unsigned long long)limit.rlim_cur,
                  (unsigned long long)wanted);
}

int listen_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t len = sizeof(address);
    getsockname(fd, &address.any, &len);
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
