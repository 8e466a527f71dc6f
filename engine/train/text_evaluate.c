#include "engine/train/text_evaluate.h"

#include "base/mem.h"

struct text_chunks_options text_evaluate_chunks(const struct model_info *info, int64_t batch,
                                                int64_t longest)
{
    return (struct text_chunks_options){.mode = PLAN_INFER,
                                        .batch = batch,
                                        .seq_len = info->text.seq_len,
                                        .max_len = info->text.max_len,
                                        .longest = longest,
                                        .backwards = info->text.backwards};
}

enum status text_evaluate_open(struct text_evaluate *text, const struct model_info *info,
                               const struct pack *pack, const uint32_t *items, uint32_t n,
                               int64_t batch, const char *words,
                               const struct text_corpus_work *work, struct err *err)
{
    *text = (struct text_evaluate){0};
    enum status status = model_text_vocab(&info->text, &text->vocab, err);
    if (status == OK)
        status = text_corpus_open(pack, items, n, text->vocab, words, work, &text->corpus, err);
    if (status != OK)
        return status;
    int64_t longest = 1;
    for (uint32_t i = 0; i < n; i++) {
        int64_t own = text_corpus_words(text->corpus, i);
        longest = own > longest ? own : longest;
    }
    text->pass = (struct text_pass){text->corpus, text_evaluate_chunks(info, batch, longest)};
    return OK;
}

void text_evaluate_close(struct text_evaluate *text)
{
    text_corpus_close(text->corpus);
    vocab_free(text->vocab);
    *text = (struct text_evaluate){0};
}
