/* machine.h -- what this machine is: the processor's name, and how much memory there is for us. */
#ifndef THAW_SERVER_MACHINE_H
#define THAW_SERVER_MACHINE_H

#include <stdint.h>

/* "AMD EPYC 7B13 x 2"; "unknown" where the kernel does not say. Owned by the caller. */
char *machine_name(void);

/* Bytes that the kernel would let our processes have: the machine's memory, or the least limit of
 * the control groups (version 1 or 2) that we are in. UINT64_MAX where nothing says. */
uint64_t machine_memory(void);
uint64_t machine_memory_at(const char *proc, const char *cgroup); /* other roots, for tests */

#endif
