/* entities.h -- the named characters of HTML: "eacute" is U+00E9. */
#ifndef THAW_ENGINE_TEXT_ENTITIES_H
#define THAW_ENGINE_TEXT_ENTITIES_H

#include <stdbool.h>
#include <stddef.h>

#define ENTITY_NAME_MAX   31 /* bytes of the longest name, without its semicolon */
#define ENTITY_LEGACY_MAX 6  /* of those that need no semicolon */
#define ENTITY_MAX        8  /* bytes of UTF-8 that a name stands for: two characters at most */

/* What `name` (without & and semicolon) stands for, as UTF-8; its length; 0 when there is no such
 * name. Where no semicolon follows (not `closed`), only old names count: "amp", not "hellip". */
size_t entity_find(const char *name, size_t len, bool closed, char out[ENTITY_MAX]);

#endif
