#include "tests/unit/api/spec/specs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "api/spec/jobspec.h"
#include "base/mem.h"

struct json *spec_of(const char *members)
{
    bool own_model = strstr(members, "'model':") != NULL;
    char *text = mem_printf("{'dataset':'ds_1'%s%s%s}", own_model ? "" : ",'model':'resnet34'",
                            *members ? "," : "", members);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    struct json *spec = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), &spec, &err) != OK)
        fail_msg("%s: %s", text, err.detail);
    mem_free(text);
    return spec;
}

struct json *resolve(const char *members)
{
    struct json *spec = spec_of(members), *once = NULL, *twice = NULL;
    struct err err = {0};
    if (jobspec_resolve(spec, &once, &err) != OK)
        fail_msg("%s: %s", members, err.detail);
    if (jobspec_resolve(once, &twice, &err) != OK)
        fail_msg("%s, resolved twice: %s", members, err.detail);
    char *a = json_text(once), *b = json_text(twice);
    assert_string_equal(a, b);
    mem_free(a);
    mem_free(b);
    json_free(spec);
    json_free(twice);
    return once;
}

void assert_json(const struct json *value, const char *expected)
{
    char *text = json_text(value), *quoted = mem_strdup(expected);
    for (char *p = quoted; *p; p++)
        if (*p == '\'')
            *p = '"';
    assert_string_equal(text, quoted);
    mem_free(text);
    mem_free(quoted);
}

void assert_refused(const struct refusal *refusal)
{
    struct json *spec = spec_of(refusal->members), *resolved = NULL;
    struct err err = {0};
    enum status status = jobspec_resolve(spec, &resolved, &err);
    if (status != refusal->status || strcmp(err.pointer, refusal->pointer) != 0 ||
        !strstr(err.detail, refusal->sentence))
        fail_msg("%s\n  status %s, pointer %s: %s", refusal->members, status_name(status),
                 err.pointer, err.detail);
    assert_null(resolved);
    json_free(spec);
}
