/* static.h -- the page at /, embedded into the program when it is built. */
#ifndef THAW_SERVER_STATIC_H
#define THAW_SERVER_STATIC_H

#include "api/app.h"

/* The file of that path, NULL where there is none. Any thread. */
const struct asset *static_asset(const char *path);

#endif
