/* job_reply.h -- a job as replies show it: its row, its place in the queue, and its relatives. */
#ifndef THAW_API_JOB_REPLY_H
#define THAW_API_JOB_REPLY_H

#include "api/app.h"
#include "api/reply.h"
#include "store/jobs.h"

/* *job is owned by the caller. */
enum status job_document(struct app *app, const struct job_row *row, struct arena *arena,
                         struct json **job, struct err *err);

enum status reply_job(struct app *app, const struct request *request, struct reply *reply, int http,
                      const struct job_row *row, struct err *err);

#endif
