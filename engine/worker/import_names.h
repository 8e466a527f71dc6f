/* import_names.h -- other libraries' names for the zoo's tensors, as tables. */
#ifndef THAW_ENGINE_WORKER_IMPORT_NAMES_H
#define THAW_ENGINE_WORKER_IMPORT_NAMES_H

#include "engine/format/tensor_source.h"

/* Where a file's tensors have the names of a convention that is known here (fastai's learn.save:
 * 0.N... for the body, 1.N... for the head; timm's mobilenetv2), gives them torchvision's, and
 * head.N.* to a new head. Names that fit no convention stay. *convention: who named them, for
 * people, or NULL. E_INVALID when two tensors get one name. */
enum status import_rename(struct tensor_source *source, const char **convention, struct err *err);

#endif
