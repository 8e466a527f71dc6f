/* listen.h -- one listening socket on an address in numbers. */
#ifndef THAW_SERVER_LISTEN_H
#define THAW_SERVER_LISTEN_H

#include "base/status.h"

/* *fd is the caller's to close. E_CONFLICT when the port is in use; port 0 takes any free one. */
enum status listen_open(const char *host, int port, int *fd, struct err *err);
/* As many open files as the connections and the rest need, or what there is, with a warning. */
void listen_raise_file_limit(int max_connections);
int listen_port(int fd); /* the one it got */

#endif
