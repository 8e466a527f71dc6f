/* clock.c -- time, and names that nobody can guess. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define ID_RANDOM 24
#define ID_PREFIX 15

int64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

double clock_seconds(void)
{
    return (double)clock_monotonic_ns() * 1e-9;
}

void clock_format(int64_t wall_ms, char text[CLOCK_TEXT])
{
    int64_t ms = wall_ms % 1000;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099) {
        memcpy(text, "0000-01-01T00:00:00.000Z", CLOCK_TEXT);
        return;
    }
    strftime(text, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + 19, CLOCK_TEXT - 19, ".%03dZ", (int)ms);
}

void id_new(const char *prefix, char out[40])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    size_t len = strnlen(prefix, ID_PREFIX);
    memcpy(out, prefix, len);
    size_t end = len + ID_RANDOM;
    while (len < end) {
        uint8_t bytes[64];
        ssize_t n = getrandom(bytes, sizeof(bytes), 0);
        if (n < 0 && errno != EINTR) {
            fprintf(stderr, "The kernel gave no random bytes: %s\n", strerror(errno));
            abort();
        }
        /* 252 = 7 * 36: what is above would favour the first digits. */
        for (ssize_t i = 0; i < n && len < end; i++)
            if (bytes[i] < 252)
                out[len++] = digits[bytes[i] % 36];
    }
    out[len] = '\0';
}
