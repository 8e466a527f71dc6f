/* text_sniff.h -- what an upload is, by its first bytes, and how its rows are separated. */
#ifndef THAW_ENGINE_DATA_TEXT_SNIFF_H
#define THAW_ENGINE_DATA_TEXT_SNIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/data/text_options.h"

#define TEXT_SNIFF (64u << 10) /* bytes that this wants to see */

/* May the bytes, in no known encoding, be text? Not where many control characters stand among
 * them. */
bool text_is_likely(const void *bytes, size_t len);
/* The encoding that a byte order mark, or zeros at every other place, give away: "utf-16" or NULL.
 */
const char *text_wide_encoding(const void *bytes, size_t len);

/* The format of UTF-8 text that begins so; `whole`: that is all there is. A JSON object begins
 * JSON lines. A table has a column that the options or its first row name, or the same number of
 * columns, two or more, in each of its first rows. All else is one text a line. */
enum text_format text_sniff(const char *bytes, size_t len, bool whole,
                            const struct text_options *options);

char text_separator(enum text_format format);
bool text_has_quotes(enum text_format format, const struct text_options *options);

#endif
