#include "engine/train/language_report.h"

#include "base/json_file.h"
#include "engine/train/report.h"

enum status language_report_write(const char *folder, const struct scores *scores,
                                  const struct json *parts, const struct warnings *warnings,
                                  struct err *err)
{
    struct json *report = json_new_object();
    json_set_string(report, "task", "language_model");
    json_set_string(report, "split", "valid");
    json_set_number(report, "loss", scores->valid_loss);
    json_set_number(report, "accuracy", scores->accuracy);
    json_set_number(report, "error_rate", scores->error_rate);
    json_set_number(report, "perplexity", scores->perplexity);
    json_each(part, parts) json_set(report, json_key(part), json_copy(part));
    json_set(report, "warnings", warnings_json(warnings));
    enum status status = json_write_file(report, folder, REPORT_JSON, err);
    json_free(report);
    return status;
}
