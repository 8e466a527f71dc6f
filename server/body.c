/* body.c -- JSON to memory, files to the spool, forms through multipart.c to both. */
#include "server/body.h"

#include <string.h>
#include <unistd.h>

#include "api/routes.h"
#include "base/utf8.h"

/* An unwanted body is read this far for the sake of the answer, a file as much further as one may
 * be long. */
#define DROP_LIMIT (64u << 20)

static enum status open_file(struct exchange *exchange, const struct multipart_part *part,
                             struct err *err)
{
    struct request *request = &exchange->request;
    struct upload_options options = {
        .max_bytes = body_max_file(exchange),
        .durable = request->route->flags & ROUTE_DURABLE,
        .ready = exchange->wake,
        .context = exchange->wake_context,
    };
    struct upload_file *file;
    enum status status = upload_open(exchange->env->spool, &options, &file, err);
    if (status)
        return status;
    struct upload *upload = &exchange->uploads[request->n_uploads];
    upload->part = arena_strdup(&exchange->arena, part->name);
    upload->file_name = arena_strdup(&exchange->arena, part->file_name);
    upload->content_type = arena_strdup(&exchange->arena, part->content_type);
    upload->path = upload_path(file);
    exchange->files[request->n_uploads++] = file;
    return OK;
}

static enum status write_file(struct exchange *exchange, const char *bytes, size_t len,
                              size_t *taken, struct err *err)
{
    struct upload_file *file = exchange->files[exchange->request.n_uploads - 1];
    return upload_write(file, bytes, len, taken, err);
}

/* --- The sink of a form ----------------------------------------------------------------------- */

static enum status form_begin(void *context, const struct multipart_part *part, struct err *err)
{
    struct exchange *exchange = context;
    struct request *request = &exchange->request;
    if (request->n_uploads + request->n_fields == REQUEST_MAX_PARTS)
        return err_set(err, E_TOO_LARGE, "The form has more than %d parts.", REQUEST_MAX_PARTS);
    exchange->in_file = part->file_name != NULL;
    if (exchange->in_file)
        return open_file(exchange, part, err);
    buf_clear(&exchange->field);
    exchange->part.name = arena_strdup(&exchange->arena, part->name);
    return OK;
}

static enum status form_data(void *context, const char *bytes, size_t len, size_t *taken,
                             struct err *err)
{
    struct exchange *exchange = context;
    if (exchange->in_file)
        return write_file(exchange, bytes, len, taken, err);
    *taken = len;
    exchange->field_bytes += len;
    if (exchange->field_bytes <= REQUEST_MAX_JSON && buf_append(&exchange->field, bytes, len))
        return OK;
    return err_set(err, E_TOO_LARGE,
                   "The form's text parts together have more than %u bytes: a file part needs a "
                   "file name (curl -F %.40s=@FILE).",
                   REQUEST_MAX_JSON, exchange->part.name);
}

static enum status form_end(void *context, struct err *err)
{
    struct exchange *exchange = context;
    if (exchange->in_file)
        return OK;
    const struct buf *field = &exchange->field;
    if (memchr(field->data, 0, field->len) || !utf8_is_valid(field->data, field->len))
        return err_set(err, E_SYNTAX, "The form's part \"%.80s\" is not UTF-8 text.",
                       exchange->part.name);
    exchange->part.value = arena_strndup(&exchange->arena, field->data, field->len);
    exchange->fields[exchange->request.n_fields++] = exchange->part;
    return OK;
}

/* --- Begin, bytes, end ------------------------------------------------------------------------ */

static enum status begin_form(struct exchange *exchange, struct err *err)
{
    struct multipart_sink sink = {exchange, form_begin, form_data, form_end};
    return multipart_init(&exchange->form, exchange->headers.content_type, &sink, err);
}

enum status body_begin(struct exchange *exchange, struct err *err)
{
    static const struct multipart_part raw = {.name = ""};
    enum body_kind kind = exchange->request.body;
    if (kind != BODY_FILE && kind != BODY_FORM)
        return OK;
    size_t n = kind == BODY_FORM ? REQUEST_MAX_PARTS : 1;
    exchange->uploads = arena_alloc(&exchange->arena, n * sizeof(*exchange->uploads));
    exchange->fields = arena_alloc(&exchange->arena, n * sizeof(*exchange->fields));
    exchange->request.uploads = exchange->uploads;
    exchange->request.fields = exchange->fields;
    return kind == BODY_FORM ? begin_form(exchange, err) : open_file(exchange, &raw, err);
}

static enum status take_bytes(struct exchange *exchange, const char *bytes, size_t len,
                              size_t *taken, struct err *err)
{
    *taken = len;
    switch (exchange->request.body) {
    case BODY_NONE:
        exchange->dropping = true;
        return OK;
    case BODY_JSON:
        if (buf_append(&exchange->text, bytes, len))
            return OK;
        return err_set(err, E_TOO_LARGE, "The body has more than %u bytes.", REQUEST_MAX_JSON);
    case BODY_FILE:
        return write_file(exchange, bytes, len, taken, err);
    case BODY_FORM:
        return multipart_feed(&exchange->form, bytes, len, taken, err);
    }
    return OK;
}

bool exchange_body(struct exchange *exchange, const char *bytes, size_t len, size_t *taken)
{
    struct err err = {0};
    if (!exchange->dropping && take_bytes(exchange, bytes, len, taken, &err)) {
        exchange_fail(exchange, &err);
        body_free(exchange);
        buf_clear(&exchange->text);
    }
    if (exchange->dropping)
        *taken = len;
    exchange->received += *taken;
    if (!exchange->dropping)
        return true;
    exchange->dropped += len;
    bool file = exchange->request.body == BODY_FILE || exchange->request.body == BODY_FORM;
    return exchange->dropped <= DROP_LIMIT + (file ? exchange->env->app->max_upload : 0);
}

enum status body_finish(struct exchange *exchange, bool *finished, struct err *err)
{
    struct request *request = &exchange->request;
    enum status status = OK;
    *finished = true;
    if (request->body == BODY_FORM)
        status = multipart_finish(&exchange->form, err);
    for (size_t i = 0; !status && *finished && i < request->n_uploads; i++) {
        struct upload_file *file = exchange->files[i];
        status = upload_finish(file, finished, err);
        if (status || !*finished)
            continue;
        struct upload *upload = &exchange->uploads[i];
        upload->bytes = upload_bytes(file);
        memcpy(upload->sha256, upload_sha256(file), sizeof(upload->sha256));
    }
    return status;
}

void body_free(struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->request.n_uploads; i++)
        upload_free(exchange->files[i], exchange->uploads[i].taken);
    exchange->request.n_uploads = 0;
}
