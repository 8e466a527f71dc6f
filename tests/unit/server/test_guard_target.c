#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "server/guard.h"
#include "server/target.h"

static const char *const allowed[] = {"thaw.example", "proxy.example:8443"};
static const struct guard guard = {8080, allowed, 2};

static enum status check(const char *host, const char *origin, const char *site)
{
    struct err err = {0};
    enum status status = guard_check(&guard, host, origin, site, &err);
    assert_int_equal(status, err.status);
    return status;
}

static void only_names_of_this_server_are_served(void **state)
{
    static const char *const ours[] = {"localhost:8080",     "127.0.0.1:8080", "[::1]:8080",
                                       "192.168.1.7:8080",   "thaw.example",   "thaw.example:443",
                                       "proxy.example:8443", "LocalHost:8080"};
    static const char *const foreign[] = {"localhost",
                                          "localhost:80",
                                          "localhost:80800",
                                          "evil.example:8080",
                                          ":8080",
                                          "",
                                          "localhost:",
                                          "localhost:8080x",
                                          "localhost:+8080",
                                          "[::1]",
                                          "[::1:8080",
                                          "127.0.0.1.evil.example:8080",
                                          "0x7f000001:8080",
                                          "2130706433:8080",
                                          "proxy.example",
                                          "thaw.example.evil:8080",
                                          "localhost:8080:8080"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (check(ours[i], NULL, NULL))
            fail_msg("%s was refused", ours[i]);
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (check(foreign[i], NULL, NULL) != E_FORBIDDEN)
            fail_msg("%s was served", foreign[i]);
    assert_int_equal(check(NULL, NULL, NULL), E_SYNTAX);
}

static void only_pages_of_this_server_may_call_it(void **state)
{
    const char *host = "localhost:8080";
    (void)state;
    assert_int_equal(check(host, "http://localhost:8080", "same-origin"), OK);
    assert_int_equal(check(host, NULL, "none"), OK);
    assert_int_equal(check("thaw.example", "https://thaw.example", NULL), OK);
    assert_int_equal(check(host, "null", NULL), E_FORBIDDEN);
    assert_int_equal(check(host, "http://127.0.0.1:8080", NULL), E_FORBIDDEN);
    assert_int_equal(check(host, "http://localhost:8080.evil.example", NULL), E_FORBIDDEN);
    assert_int_equal(check(host, "ftp://localhost:8080", NULL), E_FORBIDDEN);
    assert_int_equal(check(host, NULL, "cross-site"), E_FORBIDDEN);
    assert_int_equal(check(host, NULL, "same-site"), E_FORBIDDEN);
}

struct parsed {
    struct arena arena;
    struct request request;
    struct err err;
};

static enum status parse(struct parsed *parsed, const char *target)
{
    *parsed = (struct parsed){0};
    arena_init(&parsed->arena);
    parsed->request.arena = &parsed->arena;
    return target_parse(target, &parsed->request, &parsed->err);
}

static void a_target_is_taken_apart_and_decoded(void **state)
{
    struct parsed p;
    (void)state;
    assert_int_equal(parse(&p, "/v1/models/a%20b+c?name=x%20y+z&empty=&bare&&q=%C3%A9%3D%26"), OK);
    assert_string_equal(p.request.path, "/v1/models/a b+c");
    assert_int_equal(p.request.n_query, 4);
    assert_string_equal(p.request.query[0].value, "x y z");
    assert_string_equal(p.request.query[1].value, "");
    assert_string_equal(p.request.query[2].name, "bare");
    assert_string_equal(p.request.query[2].value, "");
    assert_string_equal(p.request.query[3].value, "\xc3\xa9=&");
    arena_deinit(&p.arena);
}

static void a_doubtful_target_is_refused(void **state)
{
    static const char *const targets[] = {
        "",           "x",       "*",       "http://a/b", "/%",       "/%4",    "/%zz",
        "/%00",       "/%0d%0a", "/\x7f",   "/a%2fb",     "/a%2Fb",   "/%ff",   "/%c0%80",
        "/%ed%a0%80", "/?a=%0",  "/?%00=1", "/?a=%0a",    "/?a=\x01", "/?a=%ff"};
    struct parsed p;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        if (parse(&p, targets[i]) != E_SYNTAX)
            fail_msg("\"%s\" was taken", targets[i]);
        arena_deinit(&p.arena);
    }
}

static void a_query_has_a_limit(void **state)
{
    char target[512] = "/?";
    struct parsed p;
    (void)state;
    for (int i = 0; i < REQUEST_MAX_QUERY; i++)
        memcpy(target + 2 + 4 * i, "a=1&", 5);
    assert_int_equal(parse(&p, target), OK);
    arena_deinit(&p.arena);
    memcpy(target + 2 + 4 * REQUEST_MAX_QUERY, "a=1", 4);
    assert_int_equal(parse(&p, target), E_SYNTAX);
    arena_deinit(&p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_names_of_this_server_are_served),
        cmocka_unit_test(only_pages_of_this_server_may_call_it),
        cmocka_unit_test(a_target_is_taken_apart_and_decoded),
        cmocka_unit_test(a_doubtful_target_is_refused),
        cmocka_unit_test(a_query_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
