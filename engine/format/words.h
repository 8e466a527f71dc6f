/* words.h -- a vocabulary as others keep it: a list of words, a word's place its id.
 *
 * fastai pickles a list of str (itos_wt103.pkl); a JSON array of strings is read as well. Nothing
 * in a pickle is executed (pickle.h). Words are UTF-8 without NUL; whether they make a vocabulary
 * of ours, model_text.h says. */
#ifndef THAW_ENGINE_FORMAT_WORDS_H
#define THAW_ENGINE_FORMAT_WORDS_H

#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"

#define WORDS_MAX_BYTES (64u << 20) /* of a file */

/* *words: an array of strings, owned by the caller. E_INVALID names what is wrong, and where. */
enum status words_parse(const void *bytes, size_t len, struct json **words, struct err *err);
enum status words_read_file(const char *path, struct json **words, struct err *err);

/* The words as fastai pickles them (protocol 3), which Python reads back as a list of str. */
enum status words_write_pickle(const char *path, const struct json *words, struct err *err);

#endif
