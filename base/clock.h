/* clock.h -- wall time for people, monotonic time for intervals. */
#ifndef THAW_BASE_CLOCK_H
#define THAW_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT 25 /* "2026-11-23T20:31:56.123Z" and the NUL */

int64_t clock_wall_ms(void); /* since 1970, UTC */
int64_t clock_monotonic_ns(void);
double clock_seconds(void);                                /* monotonic, as seconds */
void clock_format(int64_t wall_ms, char text[CLOCK_TEXT]); /* RFC 3339, UTC, milliseconds */

/* `prefix` and 24 random characters of [0-9a-z] from the kernel: "job_4k1x...". `out` holds 40. */
void id_new(const char *prefix, char out[40]);

#endif
