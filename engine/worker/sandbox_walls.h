/* sandbox_walls.h -- inside the sandbox: its two walls that need the kernel's newer doors. */
#ifndef THAW_ENGINE_WORKER_SANDBOX_WALLS_H
#define THAW_ENGINE_WORKER_SANDBOX_WALLS_H

#include "engine/worker/sandbox.h"

/* A sanitizer's run time reads /proc, traces its own threads and maps terabytes of shadow memory:
 * in such a build system calls are not filtered and memory is not limited. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

/* The kernel's landlock ABI; 0 where it has none or it is switched off. */
int landlock_abi(void);

/* Restricts the calling thread to the paths of `options`; no_new_privs must be set. E_UNAVAILABLE
 * where the kernel refuses, E_INVALID for a path that cannot be opened. */
enum status landlock_enter(const struct sandbox_options *options, int abi, struct err *err);

/* Loads the filter of system calls. E_UNAVAILABLE where the kernel refuses it. */
enum status seccomp_enter(enum sandbox_profile profile, struct err *err);

#endif
