/* fuzz_words.c -- a vocabulary is a list of texts, or a refusal with a sentence. */
#include "tests/fuzz/fuzz.h"

#include "base/utf8.h"
#include "engine/format/model_text.h"
#include "engine/format/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *words = NULL;
    struct err err = {0};
    if (words_parse(data, size, &words, &err) != OK) {
        promise(err.status == E_INVALID && err.detail[0]);
        return 0;
    }
    promise(json_type(words) == JSON_ARRAY && json_len(words) <= MODEL_MAX_VOCABULARY);
    json_each(word, words)
    {
        const char *text = json_as_string(word, NULL);
        promise(text && strlen(text) <= MODEL_MAX_WORD && utf8_is_valid(text, strlen(text)));
    }
    struct err why = {0};
    if (model_text_check_vocabulary(words, &why) != OK)
        promise(why.status == E_INVALID && why.detail[0]);
    json_free(words);
    return 0;
}
