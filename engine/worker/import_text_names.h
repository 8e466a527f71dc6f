/* import_text_names.h -- fastai's names for an AWD-LSTM's tensors, of every version, as tables. */
#ifndef THAW_ENGINE_WORKER_IMPORT_TEXT_NAMES_H
#define THAW_ENGINE_WORKER_IMPORT_TEXT_NAMES_H

#include "engine/format/tensor_source.h"

/* Gives the tensors of a language model, a classifier or an encoder alone the names of
 * engine/zoo/awd_lstm.h; *found is false, and nothing changed, where there is no LSTM encoder.
 * Copies that torch keeps of one tensor (the decoder's weight, the embedding in its dropout, the
 * hidden weights after dropout) keep their names: import_text_is_copy. E_INVALID where the
 * decoder's weight is not the embedding's, or two tensors get one name. */
enum status import_text_rename(struct tensor_source *source, bool *found, struct err *err);

/* Whether the tensor is one more copy of another, by its name. */
bool import_text_is_copy(const char *name);

#endif
