/* print_spec.c -- the job spec's tables as Markdown, for the documentation.
 *
 *   print_spec fields | presets | stages PRESET */
#include <stdio.h>
#include <string.h>

#include "api/spec/jobspec.h"
#include "base/json.h"
#include "base/mem.h"

#define MAX_PAGE (1u << 20)

/* The stages that a preset resolves to, one a line. */
static enum status print_stages(const char *preset, struct buf *out, struct err *err)
{
    struct json *spec = json_new_object(), *resolved = NULL;
    json_set_string(spec, "dataset", "ds_");
    json_set_string(spec, "model", "resnet34");
    json_set_string(spec, "preset", preset);
    enum status status = jobspec_resolve(spec, &resolved, err);
    if (status == OK)
        json_each(stage, json_get(resolved, "stages"))
        {
            json_print(stage, out);
            buf_puts(out, "\n");
        }
    json_free(resolved);
    json_free(spec);
    return status;
}

int main(int argc, char **argv)
{
    struct buf out;
    struct err err = {0};
    enum status status = OK;
    buf_init(&out, MAX_PAGE);
    if (argc == 2 && strcmp(argv[1], "fields") == 0)
        jobspec_print_table(&out);
    else if (argc == 2 && strcmp(argv[1], "presets") == 0)
        jobspec_print_presets(&out);
    else if (argc == 3 && strcmp(argv[1], "stages") == 0)
        status = print_stages(argv[2], &out, &err);
    else
        status = err_set(&err, E_INVALID, "print_spec fields | presets | stages PRESET");
    fputs(status == OK ? out.data : err.detail, status == OK ? stdout : stderr);
    buf_deinit(&out);
    return status == OK ? 0 : 2;
}
