/* torch.h -- weights as torch.save writes them: zip files (since 1.6) and the legacy format.
 *
 * A state dict, or a dict that holds one under "state_dict", "model" or "model_state_dict" (nested
 * at most 4 deep); "module." in front of a name is dropped. Entries that are not tensors are left
 * out. Every view is checked against its storage. Nothing in the file is executed (pickle.h). */
#ifndef THAW_ENGINE_FORMAT_TORCH_H
#define THAW_ENGINE_FORMAT_TORCH_H

#include "engine/format/tensor_source.h"

bool torch_recognise_zip(const uint8_t *bytes, size_t len);
bool torch_recognise_legacy(const uint8_t *bytes, size_t len);

/* Fill an empty source with views into `bytes`. On failure the caller still closes the source. */
enum status torch_parse_zip(const uint8_t *bytes, size_t len, struct tensor_source *source,
                            struct err *err);
enum status torch_parse_legacy(const uint8_t *bytes, size_t len, struct tensor_source *source,
                               struct err *err);

#endif
