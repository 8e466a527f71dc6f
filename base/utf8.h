/* utf8.h -- is this UTF-8? (RFC 3629: no surrogates, nothing overlong, nothing past U+10FFFF) */
#ifndef THAW_BASE_UTF8_H
#define THAW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the well-formed character at the front of `text`, 1 to 4; 0 when there is none. */
size_t utf8_sequence(const char *text, size_t len);
bool utf8_is_valid(const char *text, size_t len);

#endif
