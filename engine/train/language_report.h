/* language_report.h -- report.json of a run that ends with a language model: there are no classes
 * and no predictions to tell of, but how well it foretells words, stage by stage. */
#ifndef THAW_ENGINE_TRAIN_LANGUAGE_REPORT_H
#define THAW_ENGINE_TRAIN_LANGUAGE_REPORT_H

#include "base/json.h"
#include "base/status.h"
#include "engine/train/metrics.h"
#include "engine/train/warnings.h"

/* FOLDER/report.json: {task, split, loss, accuracy, error_rate, perplexity, vocabulary, stages,
 * warnings}. The scores are the final model's on the validation texts, null without any. `parts` is
 * {vocabulary, stages}, borrowed. */
enum status language_report_write(const char *folder, const struct scores *scores,
                                  const struct json *parts, const struct warnings *warnings,
                                  struct err *err);

#endif
