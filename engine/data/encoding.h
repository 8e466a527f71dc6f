/* encoding.h -- text in another encoding than UTF-8, decoded as it is read (the C library's iconv,
 * known to encoding.c alone).
 *
 * Encodings are a table: a client's word is looked up there and never handed to the library. Its
 * tables are code that the library loads on demand, which the sandbox forbids: encoding_load does
 * so before it shuts. */
#ifndef THAW_ENGINE_DATA_ENCODING_H
#define THAW_ENGINE_DATA_ENCODING_H

#include <stdbool.h>

#include "engine/data/source.h"

/* E_INVALID with the nearest known name. Any name of UTF-8 is fine. */
enum status encoding_check(const char *name, struct err *err);
bool encoding_is_utf8(const char *name); /* NULL is */

/* Loads what decoding needs, once in a process. */
enum status encoding_load(const char *name, struct err *err);

struct decoder; /* owns its buffer and iconv's state; borrows the source's context */

/* `name` is a known encoding, and not UTF-8. */
enum status decoder_new(const char *name, struct source encoded, struct decoder **decoder,
                        struct err *err);
void decoder_free(struct decoder *decoder);
/* Reads UTF-8. E_INVALID, with the line: bytes that are none in this encoding, or a character cut
 * off at the end. */
struct source decoder_source(struct decoder *decoder);

#endif
