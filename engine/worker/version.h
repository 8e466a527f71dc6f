/* version.h -- what the engine runs on, for `started` and --version. */
#ifndef THAW_ENGINE_WORKER_VERSION_H
#define THAW_ENGINE_WORKER_VERSION_H

/* The vector instructions that run the kernels here: "avx512", "avx2" or "sse2"; "generic" on a
 * machine that is no x86. Asks the processor, starts no library. */
const char *engine_isa(void);

#endif
