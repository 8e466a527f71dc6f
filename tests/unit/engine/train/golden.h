/* golden.h -- reads a file of numbers that tests/golden/NAME.py wrote. */
#ifndef THAW_TESTS_GOLDEN_H
#define THAW_TESTS_GOLDEN_H

#include "base/json.h"

struct json *golden_read(const char *name); /* tests/golden/NAME; fails the test if it cannot */

#endif
