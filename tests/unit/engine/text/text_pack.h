/* text_pack.h -- a pack of texts in memory, for this folder's tests. */
#ifndef THAW_TESTS_UNIT_ENGINE_TEXT_TEXT_PACK_H
#define THAW_TESTS_UNIT_ENGINE_TEXT_TEXT_PACK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/data/pack.h"

/* Item i is texts[i], unlabelled. */
struct pack *text_pack(const char *const *texts, uint32_t n);

#endif
