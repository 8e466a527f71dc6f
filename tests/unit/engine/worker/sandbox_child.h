/* sandbox_child.h -- children that enter the sandbox and then try one thing.
 *
 * An attempt returns 0 where it worked, the errno where it was denied. */
#ifndef THAW_TESTS_UNIT_ENGINE_WORKER_SANDBOX_CHILD_H
#define THAW_TESTS_UNIT_ENGINE_WORKER_SANDBOX_CHILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "engine/worker/sandbox_walls.h"

#define MEMORY_LIMIT (UINT64_C(1) << 30)
#define FILE_LIMIT   (1u << 20)
#define KILLED       255 /* instead of an errno: SIGSYS ended the child */
#define NOT_ENTERED  254

/* A folder with a file to read, one nobody may read, and a folder to write to. */
extern char sandbox_folder[64], sandbox_given[80], sandbox_secret[80], sandbox_out[80];
extern char sandbox_out_file[96];
int sandbox_make_files(void **state);
int sandbox_remove_files(void **state);

struct sandbox_options sandbox_options_for(enum sandbox_profile profile);

/* What came of `attempt` inside: 0, an errno, or KILLED. */
int sandbox_inside(enum sandbox_profile profile, int (*attempt)(void));
int sandbox_came(long result); /* of a system call: 0 or errno */

/* Skip the test where this kernel, or this build, has no such wall. */
void sandbox_need_landlock(void);
void sandbox_need_seccomp(void);

extern const enum sandbox_profile sandbox_profiles[2];

#define assert_allowed(attempt)                                                                    \
    do {                                                                                           \
        for (size_t p_ = 0; p_ < ARRAY_LEN(sandbox_profiles); p_++) {                              \
            int came_ = sandbox_inside(sandbox_profiles[p_], attempt);                             \
            if (came_ != 0)                                                                        \
                fail_msg(#attempt " failed: %s", strerror(came_));                                 \
        }                                                                                          \
    } while (0)
#define assert_denied(attempt)                                                                     \
    do {                                                                                           \
        for (size_t p_ = 0; p_ < ARRAY_LEN(sandbox_profiles); p_++) {                              \
            int came_ = sandbox_inside(sandbox_profiles[p_], attempt);                             \
            if (came_ == 0 || came_ == KILLED || came_ == NOT_ENTERED)                             \
                fail_msg(#attempt " was not denied but ended with %d", came_);                     \
        }                                                                                          \
    } while (0)
#define assert_killed(attempt)                                                                     \
    do {                                                                                           \
        for (size_t p_ = 0; p_ < ARRAY_LEN(sandbox_profiles); p_++)                                \
            assert_int_equal(sandbox_inside(sandbox_profiles[p_], attempt), KILLED);               \
    } while (0)

#endif
