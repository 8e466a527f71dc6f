/* results.h -- named arrays that an oracle's program collects and writes at its end. */
#ifndef THAW_TESTS_ORACLE_RESULTS_H
#define THAW_TESTS_ORACLE_RESULTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct result {
    char *name; /* owned */
    int n_dims;
    int64_t dims[4];
    float *data; /* owned */
    size_t n;
};

struct results {
    struct result *at; /* owned */
    size_t n;
};

/* A copy of n = product of dims floats, or room for them where data is NULL. Takes `name`. */
float *results_add(struct results *results, char *name, int n_dims, const int64_t *dims,
                   const float *data);
enum status results_write(struct results *results, const char *path, struct err *err);
void results_deinit(struct results *results);

#endif
