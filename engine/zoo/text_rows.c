#include "engine/zoo/text_rows.h"

#include "engine/zoo/awd_lstm.h"

void text_rows_begin(struct plan *encoder, const struct text_row *rows, int64_t n, int64_t first)
{
    for (int64_t b = 0; b < n; b++)
        if (rows[b].begins == first)
            plan_clear_state(encoder, b);
}

static int32_t word_at(const struct text_row *row, int64_t t)
{
    int64_t place = t - row->begins;
    if (place < 0 || place >= row->n)
        return AWD_LSTM_PADDING;
    return row->words[row->backwards ? row->n - 1 - place : place];
}

enum status text_rows_read(struct plan *encoder, const struct text_row *rows, int64_t n,
                           int64_t batch, int64_t first, int64_t steps, struct err *err)
{
    enum status status = plan_set_steps(encoder, steps, err);
    if (status != OK)
        return status;
    int32_t *tokens = plan_tokens(encoder);
    for (int64_t t = 0; t < steps; t++)
        for (int64_t b = 0; b < batch; b++)
            tokens[t * batch + b] = b < n ? word_at(&rows[b], first + t) : AWD_LSTM_PADDING;
    return OK;
}
