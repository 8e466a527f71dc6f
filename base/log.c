/* log.c -- one line, one write. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define MAX_LINE   4096
#define MAX_FIELDS 3072

static const char *const names[] = {"error", "warn", "info", "debug"};
static atomic_int max_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

int log_level_from_name(const char *name)
{
    for (int i = 0; i <= LOG_DEBUG; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static bool is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* The character at `text` as it may stand in a line: C0 and C1 controls and bytes that are no
 * UTF-8 as \xNN; inside quotes also the quote and the backslash. Returns the bytes read. */
static size_t escape(const char *text, bool quoted, char out[16])
{
    size_t n = utf8_sequence(text, strlen(text));
    unsigned char c = (unsigned char)text[0];
    bool is_control = n == 0 || c < ' ' || c == 0x7f || (c == 0xc2 && (text[1] & 0xe0) == 0x80);
    if (c == '\n' && quoted) {
        memcpy(out, "\\n", 3);
        return 1;
    }
    if (is_control) {
        snprintf(out, 16, "\\x%02x", c);
        if (n == 2)
            snprintf(out + 4, 12, "\\x%02x", (unsigned char)text[1]);
        return n ? n : 1;
    }
    size_t at = 0;
    if (quoted && (c == '"' || c == '\\'))
        out[at++] = '\\';
    memcpy(out + at, text, n);
    out[at + n] = '\0';
    return n;
}

/* Escapes `text` into `out`, never cutting an escape in two; returns the length. */
static size_t escape_all(char *out, size_t size, const char *text, bool quoted)
{
    size_t len = 0;
    char piece[16];
    while (*text) {
        text += escape(text, quoted, piece);
        size_t n = strlen(piece);
        if (len + n + 1 > size)
            break;
        memcpy(out + len, piece, n);
        len += n;
    }
    out[len] = '\0';
    return len;
}

const char *log_quote(char *out, unsigned long size, const char *value)
{
    if (size == 0)
        return "";
    if (!value)
        value = "";
    const char *p = value;
    while (is_plain((unsigned char)*p))
        p++;
    bool quoted = *p || p == value;
    if (!quoted || size < 4) {
        escape_all(out, size, value, quoted);
        return out;
    }
    out[0] = '"';
    size_t len = 1 + escape_all(out + 1, size - 2, value, true);
    out[len] = '"';
    out[len + 1] = '\0';
    return out;
}

void log_event(enum log_level level, const char *where, const char *message, const char *fields,
               ...)
{
    if ((int)level > atomic_load(&max_level))
        return;
    char time[CLOCK_TEXT], quoted[256], raw[MAX_FIELDS], line[MAX_LINE];
    clock_format(clock_wall_ms(), time);
    int len = snprintf(line, sizeof(line), "%s %-5s %s %s", time, names[level], where,
                       log_quote(quoted, sizeof(quoted), message));
    if (fields && *fields) {
        va_list args;
        va_start(args, fields);
        vsnprintf(raw, sizeof(raw), fields, args);
        va_end(args);
        line[len++] = ' ';
        len += (int)escape_all(line + len, sizeof(line) - (size_t)len - 1, raw, false);
    }
    line[len++] = '\n';
    /* A log that cannot be written has nowhere to complain. */
    ssize_t written = write(STDERR_FILENO, line, (size_t)len);
    (void)written;
}
