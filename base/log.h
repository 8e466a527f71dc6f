/* log.h -- one structured line on stderr for each thing worth telling an operator.
 *
 *   2026-11-23T20:31:56.123Z info  http "request done" id=r_8f method=GET path=/healthz status=200
 *
 * Values are quoted when they need it; control characters are escaped, so that nothing a stranger
 * sends can forge a line. One write(2) a line: threads do not mix. */
#ifndef THAW_BASE_LOG_H
#define THAW_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug"; returns -1 for any other word. */
int log_level_from_name(const char *name);

/* `fields` is a printf format that yields "key=value key=value"; give values that may hold spaces
 * or come from outside through log_quote. */
void log_event(enum log_level level, const char *where, const char *message, const char *fields,
               ...) __attribute__((format(printf, 4, 5)));

/* Escapes and quotes `value` into `out` (at most `size` bytes, always terminated); returns `out`.
 */
const char *log_quote(char *out, unsigned long size, const char *value);

#endif
