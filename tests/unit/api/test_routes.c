#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/routes.h"

struct found {
    struct arena arena;
    const struct route *route;
    struct pair params[REQUEST_MAX_PARAMS];
    size_t n_params;
    char allow[64];
    struct err err;
};

static enum status find(struct found *found, const char *method, const char *path)
{
    *found = (struct found){0};
    arena_init(&found->arena);
    return route_find(method, path, &found->arena, &found->route, found->params, &found->n_params,
                      found->allow, &found->err);
}

static void every_route_finds_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_routes; i++) {
        struct found found;
        assert_int_equal(find(&found, routes[i].method, routes[i].pattern), OK);
        assert_ptr_equal(found.route, &routes[i]);
        arena_deinit(&found.arena);
    }
}

static void the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_routes; i++) {
        const struct route *route = &routes[i];
        assert_non_null(route->handler);
        assert_true(*route->summary);
        assert_int_equal(route->pattern[0], '/');
        if (strcmp(route->method, "GET") == 0)
            assert_int_equal(route->body, BODY_NONE);
        if (route->flags & ROUTE_CREATES)
            assert_string_equal(route->method, "POST");
        if (strncmp(route->pattern, "/v1/", 4) == 0)
            assert_int_not_equal(route->scope, SCOPE_PUBLIC);
        if (strcmp(route->method, "DELETE") == 0)
            assert_true(route->scope >= SCOPE_WRITE);
        for (size_t k = 0; k < i; k++)
            assert_true(strcmp(routes[k].pattern, route->pattern) != 0 ||
                        strcmp(routes[k].method, route->method) != 0);
    }
}

static void names_in_a_pattern_take_one_segment(void **state)
{
    struct found found;
    struct request request = {0};
    (void)state;
    assert_int_equal(find(&found, "GET", "/v1/jobs/job_1/events"), OK);
    assert_string_equal(found.route->pattern, "/v1/jobs/{id}/events");
    request.params[0] = found.params[0];
    request.n_params = found.n_params;
    assert_string_equal(request_param(&request, "id"), "job_1");
    assert_string_equal(request_param(&request, "other"), "");
    arena_deinit(&found.arena);
}

static void head_goes_where_get_goes(void **state)
{
    struct found found;
    (void)state;
    assert_int_equal(find(&found, "HEAD", "/v1/jobs"), OK);
    assert_string_equal(found.route->method, "GET");
    arena_deinit(&found.arena);
    assert_int_equal(find(&found, "HEAD", "/v1/jobs/j/cancel"), E_METHOD);
    assert_string_equal(found.allow, "POST");
    arena_deinit(&found.arena);
}

static void an_unknown_path_is_told_from_a_wrong_method(void **state)
{
    static const char *const unknown[] = {
        "/v1", "/v1/",      "/v1/jobs/", "/v1//jobs",        "/V1/jobs", "/v1/jobs/a/b",
        "//",  "/healthz/", "/v1/jobsx", "/v1/datasets/a/b", "",         "healthz"};
    struct found found;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        if (find(&found, "GET", unknown[i]) != E_NOT_FOUND)
            fail_msg("%s was found", unknown[i]);
        arena_deinit(&found.arena);
    }
    assert_int_equal(find(&found, "PUT", "/v1/datasets/ds_1"), E_METHOD);
    assert_string_equal(found.allow, "GET, HEAD, DELETE");
    arena_deinit(&found.arena);
}

static void parameters_are_the_routes_own(void **state)
{
    struct found found;
    struct pair good[] = {{"status", "x"}, {"limit", "1"}}, near[] = {{"limits", "1"}};
    struct pair twice[] = {{"limit", "1"}, {"limit", "2"}}, strange[] = {{"zebra", ""}};
    (void)state;
    assert_int_equal(find(&found, "GET", "/v1/jobs"), OK);
    assert_int_equal(route_check_query(found.route, good, 2, &found.err), OK);
    assert_int_equal(route_check_query(found.route, near, 1, &found.err), E_SYNTAX);
    assert_non_null(strstr(found.err.detail, "did you mean \"limit\""));
    assert_int_equal(route_check_query(found.route, twice, 2, &found.err), E_SYNTAX);
    assert_int_equal(route_check_query(found.route, strange, 1, &found.err), E_SYNTAX);
    assert_non_null(strstr(found.err.detail, "status after limit"));
    arena_deinit(&found.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_finds_itself),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(names_in_a_pattern_take_one_segment),
        cmocka_unit_test(head_goes_where_get_goes),
        cmocka_unit_test(an_unknown_path_is_told_from_a_wrong_method),
        cmocka_unit_test(parameters_are_the_routes_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
