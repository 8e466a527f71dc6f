/* weights_digest.h -- weights_sha256: one number that says two models hold the same weights.
 *
 * SHA-256 over the model's tensors in byte order of their names; metadata and the file's layout do
 * not count. One tensor adds, all integers little-endian:
 *
 *     u32 length of the name | name (UTF-8) | u32 length of the dtype | dtype ("F32")
 *     u32 number of dims | each dim as u64 | the elements, row-major, little-endian
 *
 * In Python:
 *     for name in sorted(tensors, key=str.encode):        # numpy arrays, float32
 *         t = tensors[name]; n = name.encode()
 *         h.update(pack("<I", len(n)) + n + pack("<I", 3) + b"F32" + pack("<I", t.ndim))
 *         h.update(b"".join(pack("<Q", d) for d in t.shape) + t.astype("<f4").tobytes()) */
#ifndef THAW_ENGINE_FORMAT_WEIGHTS_DIGEST_H
#define THAW_ENGINE_FORMAT_WEIGHTS_DIGEST_H

#include "engine/format/tensor_source.h"

struct weights_digest;

struct weights_digest *weights_digest_new(void);
void weights_digest_free(struct weights_digest *digest);
/* Tensors must come in byte order of their names. `bytes`: n_bytes of little-endian elements. */
void weights_digest_add(struct weights_digest *digest, const char *name, enum dtype dtype,
                        int n_dims, const int64_t *dims, const void *bytes, size_t n_bytes);
void weights_digest_finish(struct weights_digest *digest, char hex[SHA256_HEX]);

/* Of an open file. E_NO_SPACE when its largest tensor does not fit in memory. */
enum status weights_sha256(const struct tensor_source *source, char hex[SHA256_HEX],
                           struct err *err);

#endif
