#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "server/config.h"

static const char *variable_name, *variable_value;

static char *environment(const char *name)
{
    static char value[64];
    if (!variable_name || strcmp(name, variable_name) != 0)
        return NULL;
    snprintf(value, sizeof(value), "%s", variable_value);
    return value;
}

struct case_ {
    struct config config;
    struct arena arena;
    struct err err;
    enum status status;
};

/* Reads up to six arguments; NULL ends them. */
static void read_flags(struct case_ *c, const char *const flags[6])
{
    char *argv[8] = {(char[]){"thawd"}};
    int argc = 1;
    *c = (struct case_){0};
    arena_init(&c->arena);
    while (argc < 7 && flags[argc - 1]) {
        argv[argc] = arena_strdup(&c->arena, flags[argc - 1]);
        argc++;
    }
    c->status = config_read(&c->config, &c->arena, argc, argv, environment, &c->err);
}
#define READ(c, ...) read_flags(c, (const char *const[6]){__VA_ARGS__})

static void assert_refused(struct case_ *c, const char *word)
{
    assert_int_not_equal(c->status, OK);
    if (!strstr(c->err.detail, word))
        fail_msg("\"%s\" does not say \"%s\"", c->err.detail, word);
    arena_deinit(&c->arena);
}

static void without_flags_the_defaults_hold(void **state)
{
    struct case_ c;
    (void)state;
    READ(&c, NULL);
    assert_int_equal(c.status, OK);
    assert_string_equal(c.config.host, "127.0.0.1");
    assert_int_equal(c.config.port, 8080);
    assert_int_equal(c.config.max_jobs, 1);
    assert_true(c.config.max_upload == (int64_t)64 << 30);
    assert_false(c.config.insecure);
    assert_int_equal(c.config.n_allowed_hosts, 0);
    arena_deinit(&c.arena);
}

static void a_value_follows_its_flag_or_an_equals_sign(void **state)
{
    struct case_ c;
    (void)state;
    READ(&c, "--max-jobs", "3", "--max-upload=12M", "--insecure", "--listen=[::1]:0");
    assert_int_equal(c.status, OK);
    assert_int_equal(c.config.max_jobs, 3);
    assert_int_equal(c.config.max_upload, 12 << 20);
    assert_true(c.config.insecure);
    assert_string_equal(c.config.host, "::1");
    assert_int_equal(c.config.port, 0);
    arena_deinit(&c.arena);
}

static void sizes_count_in_1024s(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"1", 1},        {"1k", 1024},      {"7K", 7168},
                 {"2M", 2 << 20}, {"3g", 3LL << 30}, {"1T", 1LL << 40}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct case_ c;
        READ(&c, "--max-upload", cases[i].text);
        assert_int_equal(c.status, OK);
        assert_true(c.config.max_upload == cases[i].bytes);
        arena_deinit(&c.arena);
    }
}

static void a_flag_wins_over_its_variable_and_that_over_the_default(void **state)
{
    struct case_ c;
    (void)state;
    variable_name = "THAW_MAX_JOBS";
    variable_value = "5";
    READ(&c, NULL);
    assert_int_equal(c.config.max_jobs, 5);
    arena_deinit(&c.arena);
    READ(&c, "--max-jobs", "6");
    assert_int_equal(c.config.max_jobs, 6);
    arena_deinit(&c.arena);
    variable_value = "lots";
    READ(&c, NULL);
    assert_refused(&c, "THAW_MAX_JOBS is \"lots\"");
    variable_name = NULL;
}

static void a_variable_named_version_means_nothing(void **state)
{
    struct case_ c;
    (void)state;
    variable_name = "THAW_VERSION";
    variable_value = "1.2.3";
    READ(&c, NULL);
    assert_int_equal(c.status, OK);
    assert_false(c.config.version);
    arena_deinit(&c.arena);
    variable_name = NULL;
}

static void what_is_wrong_is_named(void **state)
{
    struct case_ c;
    (void)state;
    READ(&c, "--max-job", "3");
    assert_refused(&c, "did you mean --max-jobs");
    READ(&c, "--max-jobs");
    assert_refused(&c, "lacks its value");
    READ(&c, "--max-jobs", "65");
    assert_refused(&c, "from 1 to 64");
    READ(&c, "--max-jobs", "3x");
    assert_refused(&c, "3x");
    READ(&c, "--max-upload", "9999999999G");
    assert_refused(&c, "9999999999G");
    READ(&c, "--log-level", "info|debug");
    assert_refused(&c, "info|debug");
    READ(&c, "--sandbox", "");
    assert_refused(&c, "auto|require|off");
    READ(&c, "--listen", "127.0.0.1");
    assert_refused(&c, "127.0.0.1");
    READ(&c, "--listen", "[127.0.0.1]:80");
    assert_refused(&c, "[127.0.0.1]:80");
    READ(&c, "--listen", "127.0.0.1:");
    assert_refused(&c, "0 to 65535");
}

static void another_address_than_loopback_needs_insecure(void **state)
{
    static const char *const open[] = {"0.0.0.0:80", "[::]:80", "192.168.1.1:0", "128.0.0.1:1"};
    static const char *const closed[] = {"127.0.0.1:0", "127.1.2.3:80", "[::1]:0", "localhost:0"};
    struct case_ c;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        READ(&c, "--listen", open[i]);
        assert_refused(&c, "--insecure");
        READ(&c, "--listen", open[i], "--insecure");
        assert_int_equal(c.status, OK);
        assert_true(config_is_public(&c.config));
        arena_deinit(&c.arena);
    }
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
        READ(&c, "--listen", closed[i]);
        assert_int_equal(c.status, OK);
        assert_false(config_is_public(&c.config));
        arena_deinit(&c.arena);
    }
}

static void allowed_hosts_are_separated_by_commas(void **state)
{
    struct case_ c;
    (void)state;
    READ(&c, "--allowed-host", "a.example,,b.example:8443,");
    assert_int_equal(c.config.n_allowed_hosts, 2);
    assert_string_equal(c.config.allowed_hosts[0], "a.example");
    assert_string_equal(c.config.allowed_hosts[1], "b.example:8443");
    arena_deinit(&c.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_flags_the_defaults_hold),
        cmocka_unit_test(a_value_follows_its_flag_or_an_equals_sign),
        cmocka_unit_test(sizes_count_in_1024s),
        cmocka_unit_test(a_flag_wins_over_its_variable_and_that_over_the_default),
        cmocka_unit_test(a_variable_named_version_means_nothing),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(another_address_than_loopback_needs_insecure),
        cmocka_unit_test(allowed_hosts_are_separated_by_commas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
