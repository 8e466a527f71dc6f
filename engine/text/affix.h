/* affix.h -- what comes off a word in front and at the end, for token.c alone. */
#ifndef THAW_ENGINE_TEXT_AFFIX_H
#define THAW_ENGINE_TEXT_AFFIX_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that come off in front of (at the end of) the word, which is not empty; 0 for none. The
 * whole of a word never comes off at its end. */
size_t affix_prefix(const char *word, size_t len);
size_t affix_suffix(const char *word, size_t len);

/* "10am", "9p.m.": the bytes of the number; 0 if it is no time of day. */
size_t affix_hour(const char *word, size_t len);

/* Is the whole of it an address of the web or of e-mail? */
bool affix_is_address(const char *word, size_t len);

/* Bytes at `at` where a word is cut between letters or numbers; 0 for none. */
size_t affix_infix(const char *word, size_t len, size_t at);

#endif
