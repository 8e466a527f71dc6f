/* One line an event, whatever a stranger puts into it, from however many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* Runs `say` with stderr in a file and returns what was written: free with mem_free. */
static char *capture(void (*say)(void))
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    say();
    dup2(saved, STDERR_FILENO);
    close(saved);
    long len = lseek(fileno(file), 0, SEEK_END);
    char *text = mem_alloc((size_t)len + 1);
    assert_int_equal(pread(fileno(file), text, (size_t)len, 0), len);
    fclose(file);
    return text;
}

static void values_are_quoted_when_they_need_it(void **state)
{
    (void)state;
    static const struct {
        const char *value, *quoted;
    } cases[] = {
        {"plain/path-1.jpg", "plain/path-1.jpg"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"x\" \\", "\"say \\\"x\\\" \\\\\""},
        {"line\nbreak\r\x1b[31m", "\"line\\nbreak\\x0d\\x1b[31m\""},
        {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
        {"\xff\xc3", "\"\\xff\\xc3\""},
        {"\xc2\x9b"
         "31m",
         "\"\\xc2\\x9b31m\""}, /* a C1 control: CSI */
        {"\x7f", "\"\\x7f\""},
    };
    char out[128];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(log_quote(out, sizeof(out), cases[i].value), cases[i].quoted);
    assert_string_equal(log_quote(out, sizeof(out), NULL), "\"\"");
}

static void quoting_stays_inside_its_room(void **state)
{
    (void)state;
    char out[16], guard = 'G';
    for (size_t size = 1; size < sizeof(out); size++) {
        memset(out, guard, sizeof(out));
        log_quote(out, size, "a b\n\n\n\n\n\n\n");
        assert_true(memchr(out, '\0', size) != NULL);
        for (size_t i = size; i < sizeof(out); i++)
            assert_int_equal(out[i], guard);
    }
}

static void say_forged(void)
{
    char quoted[64];
    log_event(LOG_INFO, "http", "request done", "path=%s raw=%s",
              log_quote(quoted, sizeof(quoted), "/x\n2026 error"), "a\nb\x1b");
    log_event(LOG_DEBUG, "http", "not said", "");
    log_event(LOG_ERROR, "store", "alone", "");
}

static void a_line_cannot_be_forged(void **state)
{
    (void)state;
    char *text = capture(say_forged);
    regex_t pattern;
    const char *expected = "^[0-9-]{10}T[0-9:.]{12}Z info  http \"request done\" "
                           "path=\"/x\\\\n2026 error\" raw=a\\\\x0ab\\\\x1b\n"
                           "[0-9-]{10}T[0-9:.]{12}Z error store alone\n$";
    assert_int_equal(regcomp(&pattern, expected, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&pattern, text, 0, NULL, 0) != 0)
        fail_msg("%s", text);
    regfree(&pattern);
    mem_free(text);
}

static void say_much(void)
{
    char much[9000];
    memset(much, 'x', sizeof(much) - 1);
    much[sizeof(much) - 1] = '\0';
    log_event(LOG_INFO, "test", much, "a=%s", much);
    memset(much, '\n', sizeof(much) - 1);
    log_event(LOG_INFO, "test", much, "a=%s", much);
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    char *text = capture(say_much);
    char *end = strchr(text, '\n');
    assert_true(end - text < 4096);
    assert_true(strchr(end + 1, '\n') - end <= 4096);
    assert_int_equal(strchr(end + 1, '\n')[1], '\0');
    mem_free(text);
}

static void *say_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        log_event(LOG_INFO, "test", "from a thread", "i=%d", i);
    log_set_level(LOG_INFO);
    return NULL;
}

static void say_from_threads(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, say_many, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    char *text = capture(say_from_threads);
    int lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        int number;
        *end = '\0';
        assert_int_equal(sscanf(line + 24, " info  test \"from a thread\" i=%d", &number), 1);
    }
    assert_int_equal(lines, 800);
    mem_free(text);
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_int_equal(log_level_from_name("error"), LOG_ERROR);
    assert_int_equal(log_level_from_name("debug"), LOG_DEBUG);
    assert_int_equal(log_level_from_name("loud"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_quoted_when_they_need_it),
        cmocka_unit_test(quoting_stays_inside_its_room),
        cmocka_unit_test(a_line_cannot_be_forged),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(threads_do_not_mix_their_lines),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
