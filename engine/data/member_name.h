/* member_name.h -- the name of an archive's member, as it came -> as it is kept. */
#ifndef THAW_ENGINE_DATA_MEMBER_NAME_H
#define THAW_ENGINE_DATA_MEMBER_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Copies `raw` into `name` (of `size` bytes) as UTF-8, without "./" and doubled or trailing
 * slashes; bytes that are no UTF-8 are taken for Latin-1, control characters become U+FFFD.
 * Returns NULL, or why the name is refused: absolute, with "..", with control characters, empty or
 * longer than `size` allows. `name` then is fit for showing, no more. */
const char *member_name_clean(const char *raw, char *name, size_t size);

/* What operating systems leave behind: __MACOSX, dot files, Thumbs.db, desktop.ini. */
bool member_name_is_litter(const char *name);

#endif
