/* json_scan.h -- is this text JSON, to the letter? json.c asks before it lets cJSON read it.
 *
 * Internal to base. What is refused is listed in json.h; duplicate keys are json.c's to find. */
#ifndef THAW_BASE_JSON_SCAN_H
#define THAW_BASE_JSON_SCAN_H

#include <stddef.h>

#include "base/status.h"

enum status json_scan(const char *text, size_t len, struct err *err);

#endif
