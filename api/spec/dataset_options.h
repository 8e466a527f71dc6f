/* dataset_options.h -- how an upload is to be read: every option that POST /v1/datasets takes, and
 * the engine's verb `ingest` with it. The route's list of parameters, the document that goes to the
 * engine, the engine's flags and its check of them are all made from this list.
 *
 * OPTION(name, flag, value, kinds, meaning): `value` is what --help calls it; `kinds` the data sets
 * that take it. */
#ifndef THAW_API_SPEC_DATASET_OPTIONS_H
#define THAW_API_SPEC_DATASET_OPTIONS_H

enum { DATASET_IMAGES = 1, DATASET_TEXTS = 2, DATASET_BOTH = 3 };

#define DATASET_OPTIONS(OPTION)                                                                    \
    OPTION(label_regex, "--label-regex", "RE", DATASET_BOTH,                                       \
           "labels by file name: the first group, on the path")                                    \
    OPTION(label_column, "--label-column", "NAME", DATASET_BOTH,                                   \
           "the table's column of labels (label); none: texts without labels")                     \
    OPTION(group_regex, "--group-regex", "RE", DATASET_BOTH,                                       \
           "what belongs together, by file name: the first group, on the path")                    \
    OPTION(group_column, "--group-column", "NAME", DATASET_BOTH,                                   \
           "the table's column of what belongs together")                                          \
    OPTION(text_column, "--text-column", "NAMES", DATASET_TEXTS,                                   \
           "the table's column of texts (text); several with commas between")                      \
    OPTION(split_column, "--split-column", "NAME", DATASET_TEXTS,                                  \
           "the table's column of splits (split, is_valid)")                                       \
    OPTION(format, "--format", "NAME", DATASET_TEXTS,                                              \
           "csv, semicolons, tsv, jsonl or lines (found out by looking)")                          \
    OPTION(header, "--header", "BOOL", DATASET_TEXTS,                                              \
           "the first row names the columns (true); false: they are counted from 0")               \
    OPTION(quotes, "--quotes", "BOOL", DATASET_TEXTS, "fields may be quoted (true, of tsv false)") \
    OPTION(encoding, "--encoding", "NAME", DATASET_TEXTS,                                          \
           "of the text: latin-1, windows-1252, utf-16, ... (utf-8)")                              \
    OPTION(line_regex, "--line-regex", "RE", DATASET_TEXTS,                                        \
           "takes each line apart: groups (?<text>...) and (?<label>...)")

/* " name name ...", to be put behind other parameters of a route. */
#define DATASET_OPTION_NAME(name, flag, value, kinds, meaning) " " #name
#define DATASET_OPTION_NAMES                                   DATASET_OPTIONS(DATASET_OPTION_NAME)

#endif
