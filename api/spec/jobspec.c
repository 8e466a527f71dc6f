/* jobspec.c -- a spec, resolved: checked, completed by its table, and what depends filled in. */
#include "api/spec/jobspec.h"

#include "api/spec/field.h"
#include "api/spec/jobspec_parts.h"
#include "api/spec/jobspec_table.h"
#include "api/spec/jobspec_text.h"
#include "api/spec/preset.h"

enum status jobspec_resolve(const struct json *spec, struct json **resolved, struct err *err)
{
    enum status status = jobspec_check(spec, err);
    if (status != OK)
        return status;
    struct json *whole = fields_complete(&jobspec_fields, spec);
    jobspec_keep_kind(whole);
    jobspec_fill(whole);
    status = jobspec_check(whole, err);
    if (status == OK) {
        *resolved = fields_complete(&jobspec_fields, whole); /* in the table's order */
        jobspec_keep_kind(*resolved);
    }
    json_free(whole);
    return status;
}

void jobspec_print_table(struct buf *out)
{
    buf_puts(out, "| field | takes | default | meaning |\n|---|---|---|---|\n");
    fields_print(&jobspec_fields, "", out);
}

void jobspec_print_presets(struct buf *out)
{
    preset_print_table(out);
}
