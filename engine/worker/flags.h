/* flags.h -- a verb's flag table at work: command line -> document, --help, paths for the sandbox.
 */
#ifndef THAW_ENGINE_WORKER_FLAGS_H
#define THAW_ENGINE_WORKER_FLAGS_H

#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"
#include "engine/worker/sandbox.h"
#include "engine/worker/verb.h"

/* The document that the arguments after the verb describe: "--flag value" or "--flag=value".
 * E_INVALID names an unknown flag and the nearest known one, a missing value or flag, a file that
 * is not there. Output folders are made. *document is owned by the caller. */
enum status flags_parse(const struct verb *verb, int argc, char **argv, struct json **document,
                        struct err *err);

/* A document that came from elsewhere: required keys are there, each of its kind. */
enum status flags_check(const struct verb *verb, const struct json *document, struct err *err);

/* Opens the sandbox for the document's paths, which it borrows. */
enum status flags_add_paths(const struct verb *verb, const struct json *document,
                            struct sandbox_options *sandbox, struct err *err);

/* The folder the verb writes to, NULL if it has none. */
const char *flags_output(const struct verb *verb, const struct json *document);

void flags_print_help(const struct verb *verb, struct buf *out);

#endif
