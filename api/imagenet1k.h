/* imagenet1k.h -- the 1000 classes of ImageNet-1k, in the order that published weights use. */
#ifndef THAW_API_IMAGENET1K_H
#define THAW_API_IMAGENET1K_H

#define IMAGENET1K_CLASSES 1000

extern const char *const imagenet1k_classes[IMAGENET1K_CLASSES];

#endif
