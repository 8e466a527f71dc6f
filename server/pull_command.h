/* pull_command.h -- `thawd pull NAME`: what POST /v1/models {"pull": NAME} does, without a server.
 *
 * Works on the data directory itself, so no server may have it. Shows its progress on stderr. */
#ifndef THAW_SERVER_PULL_COMMAND_H
#define THAW_SERVER_PULL_COMMAND_H

#include "server/config.h"

/* `name` NULL: lists what can be pulled. `engine` is the path of thaw-engine. */
enum status pull_command(const char *name, const struct config *config, const char *engine,
                         struct err *err);

#endif
