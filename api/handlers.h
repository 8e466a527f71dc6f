/* handlers.h -- every handler, by file. The table that names their routes is routes.c. */
#ifndef THAW_API_HANDLERS_H
#define THAW_API_HANDLERS_H

#include "api/routes.h"

/* datasets.c */
handler_fn datasets_post, datasets_index, datasets_show, datasets_remove;
/* items.c */
handler_fn items_index, items_content, items_thumbnail;
/* jobs.c */
handler_fn jobs_index, jobs_show, jobs_remove;
handler_fn jobs_cancel, jobs_pause, jobs_resume, jobs_checkpoints;
/* job_new.c */
handler_fn jobs_post, jobs_promote;
/* job_patch.c */
handler_fn jobs_patch;
/* artifacts.c */
handler_fn jobs_report, jobs_confusion_matrix, jobs_most_confused, jobs_top_losses;
handler_fn jobs_lr_find, jobs_schedule, jobs_predictions, jobs_log;
/* metrics.c */
handler_fn jobs_metrics;
/* events.c */
handler_fn jobs_events, all_events;
/* models.c */
handler_fn models_index, models_show, models_remove;
/* weights.c */
handler_fn models_weights, checkpoint_weights;
/* import.c */
handler_fn models_post;
/* predict.c */
handler_fn models_predict;
/* health.c */
handler_fn health_show, version_show, page_show;

#endif
