/* preprocess.h -- from the bytes of a picture to the numbers a network reads.
 *
 * Evaluation (validation, predict): upright, short side to round(1.143 S) with antialiased
 * bilinear, centre crop S x S. Training: the given crop to a square with antialiased bilinear, S x
 * S unless presizing asks for more, then the map and the light that were drawn (augment.h). Then
 * (value/255 - mean) / std of ImageNet, as float (S,S,3), RGB; then the hole. Resizing works on
 * 8-bit pixels and equals PIL's, so the numbers equal torchvision's transforms on the same pixels;
 * from the map on everything is float32, as in fastai. JPEGs much larger than needed are decoded
 * smaller (libjpeg's scaled DCT) first. */
#ifndef THAW_ENGINE_DATA_PREPROCESS_H
#define THAW_ENGINE_DATA_PREPROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/data/augment.h"
#include "engine/data/image.h"

#define PREPROCESS_MIN_SIZE 8
#define PREPROCESS_MAX_SIZE 2048

struct preprocess; /* buffers that grow to the largest picture seen; one thread at a time */

struct preprocess *preprocess_new(void);
void preprocess_free(struct preprocess *preprocess);

/* `header` is what image_read_header said of these bytes (a pack remembers it). `out` is
 * (size,size,3). E_INVALID when the bytes are no usable picture. */
enum status preprocess_eval(struct preprocess *preprocess, const void *bytes, size_t len,
                            const struct image_header *header, int size, float *out,
                            struct err *err);
enum status preprocess_train(struct preprocess *preprocess, const void *bytes, size_t len,
                             const struct image_header *header, const struct augment *augment,
                             int size, float *out, struct err *err);

/* The short side before the centre crop: round(1.143 * size). */
int preprocess_resize_side(int size);

#endif
