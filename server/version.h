/* version.h -- what this server and its engine are, for /version, --version and the log. */
#ifndef THAW_SERVER_VERSION_H
#define THAW_SERVER_VERSION_H

#include "base/mem.h"
#include "base/status.h"

/* What `ENGINE version` prints, a JSON object, as text in the arena. E_UNAVAILABLE when the engine
 * cannot be run or says nothing sensible within some seconds. */
enum status version_ask_engine(const char *engine, struct arena *arena, const char **json,
                               struct err *err);

#endif
