/* size.h -- a number of bytes as people read it. */
#ifndef THAW_BASE_SIZE_H
#define THAW_BASE_SIZE_H

#include <stdint.h>

#define SIZE_TEXT 24

/* "512 bytes", "14 KB", "2.5 GB", "900 TB", in units of 1024; returns `text`. */
const char *size_text(uint64_t bytes, char text[SIZE_TEXT]);

#endif
