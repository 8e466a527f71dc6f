#include "base/size.h"

#include <stdio.h>

const char *size_text(uint64_t bytes, char text[SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB", "PB", "EB"};
    int unit = 0;
    double size = (double)bytes;
    for (; size >= 1024; unit++)
        size /= 1024;
    /* One digit behind the point where it tells something: 2.5 GB, but 2 GB and 900 TB. */
    int digits = unit > 0 && size < 10 && (uint64_t)(size * 10) % 10 != 0;
    snprintf(text, SIZE_TEXT, "%.*f %s", digits, size, units[unit]);
    return text;
}
