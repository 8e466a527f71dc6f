/* model_text.h -- what a model of text says of itself, beside what model_file.h has for all.
 *
 * The metadata's "text" is a JSON object: {"vocabulary": [word...], "embedding", "hidden",
 * "layers", "backwards", "seq_len", "max_len"}. A word's id is its place in the list, and so its
 * row in encoder.weight. The special tokens come first, in the order of engine/text/vocab.h: the
 * rest of the program knows them by number. xxfake, which fastai pads vocabularies with, may stand
 * there more than once; every other word is there once. */
#ifndef THAW_ENGINE_FORMAT_MODEL_TEXT_H
#define THAW_ENGINE_FORMAT_MODEL_TEXT_H

#include "base/json.h"
#include "base/status.h"
#include "engine/format/tensor_source.h"
#include "engine/text/vocab.h"

#define MODEL_KEY_TEXT          "text"
#define MODEL_ARCHITECTURE_TEXT "awd-lstm"
#define MODEL_HEAD_DECODER      "decoder" /* a language model: the next word's log odds */
#define MODEL_HEAD_POOLING      "pooling" /* a classifier: concat pooling and linear layers */

#define MODEL_MAX_VOCABULARY (1 << 18) /* the first published wt103 has 238462 words */
#define MODEL_MAX_WORD       VOCAB_MAX_WORD
#define MODEL_MAX_WIDTH      16384 /* of the embedding and of the hidden state */
#define MODEL_MAX_LAYERS     6
#define MODEL_MAX_STEPS      65536 /* seq_len and max_len */
#define MODEL_PADDING_WORD   "xxfake"

struct model_text {
    struct json *vocabulary; /* owned; array of strings; NULL: this is no model of text */
    int64_t n_words;
    int64_t embedding, hidden, layers;
    bool backwards;           /* it reads from the last word to the first */
    int64_t seq_len, max_len; /* words of a chunk; of a document's end that are classified */
};

void model_text_deinit(struct model_text *text);
struct model_text model_text_copy(const struct model_text *text); /* owned by the caller */

/* The object of the metadata; owned by the caller. */
struct json *model_text_to_json(const struct model_text *text);
/* The same, with the number of words in place of the words: for lists of models. */
struct json *model_text_summary(const struct model_text *text);
/* Validates all of it. On failure there is nothing to deinit. */
enum status model_text_from_json(const struct json *object, struct model_text *text,
                                 struct err *err);

/* E_INVALID unless 9 to MODEL_MAX_VOCABULARY words begin with the special tokens, each is a text of
 * 1 to MODEL_MAX_WORD bytes, and none but xxfake is there twice. */
enum status model_text_check_vocabulary(const struct json *vocabulary, struct err *err);

/* Its words as a vocabulary. Owned by the caller. */
enum status model_text_vocab(const struct model_text *text, struct vocab **vocab, struct err *err);

/* Whether the tensors have the sizes it says: encoder.weight (n_words, embedding), the layers and
 * their widths. Both numbers stand in the sentence. */
enum status model_text_check_weights(const struct model_text *text,
                                     const struct tensor_source *source, struct err *err);

/* Rows and columns of an LSTM layer's hidden state and input: the last layer ends in `embedding`.
 */
int64_t model_text_layer_hidden(const struct model_text *text, int64_t layer);
int64_t model_text_layer_input(const struct model_text *text, int64_t layer);

#endif
