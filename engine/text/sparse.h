/* sparse.h -- rows of a matrix of which few numbers are not 0. */
#ifndef THAW_ENGINE_TEXT_SPARSE_H
#define THAW_ENGINE_TEXT_SPARSE_H

#include <stddef.h>
#include <stdint.h>

struct sparse_rows {
    size_t *begins;    /* owned; n_rows + 1: where each row begins in the two below */
    uint32_t *columns; /* owned; ascending within a row */
    double *values;    /* owned */
    uint32_t n_rows, n_columns;
};

#endif
