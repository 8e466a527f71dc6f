/* sandbox_seccomp.c -- system calls: an allow-list, as a table.
 *
 * What is not listed fails with ENOSYS, as on a kernel that lacks it: libraries fall back (glibc
 * tries clone3 first, which a filter cannot look into). What only an attacker would call kills the
 * process, so that thawd sees it (SIGSYS).
 *
 * Where one argument decides, a row names it and the values or bits that pass; a call may have
 * several rows. Paths are landlock's to judge; where it lacks a right (truncate before ABI 3), the
 * call is not listed at all. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/worker/sandbox_walls.h"

enum rule_kind {
    ANY,      /* whatever the arguments */
    EQUALS,   /* argument == value */
    BITS_SET, /* every bit of value is set */
    BITS_OFF, /* no bit of value is set */
    OWN_PID,  /* the argument is this process */
};

enum profiles { PARSE = 1 << SANDBOX_PARSE, COMPUTE = 1 << SANDBOX_COMPUTE, BOTH = 3 };

#define ARCH_GET_XCOMP_PERM 0x1022 /* asm/prctl.h: AMX registers, which oneDNN asks for */
#define ARCH_REQ_XCOMP_PERM 0x1023

static const struct rule {
    const char *call;
    enum profiles profiles;
    enum rule_kind kind;
    unsigned argument;
    uint64_t value;
} rules[] = {
    /* files */
    {"read", BOTH, ANY, 0, 0},
    {"readv", BOTH, ANY, 0, 0},
    {"pread64", BOTH, ANY, 0, 0},
    {"preadv", BOTH, ANY, 0, 0},
    {"write", BOTH, ANY, 0, 0},
    {"writev", BOTH, ANY, 0, 0},
    {"pwrite64", BOTH, ANY, 0, 0},
    {"pwritev", BOTH, ANY, 0, 0},
    {"lseek", BOTH, ANY, 0, 0},
    {"open", BOTH, ANY, 0, 0},
    {"openat", BOTH, ANY, 0, 0},
    {"openat2", BOTH, ANY, 0, 0},
    {"close", BOTH, ANY, 0, 0},
    {"stat", BOTH, ANY, 0, 0},
    {"lstat", BOTH, ANY, 0, 0},
    {"fstat", BOTH, ANY, 0, 0},
    {"newfstatat", BOTH, ANY, 0, 0},
    {"statx", BOTH, ANY, 0, 0},
    {"statfs", BOTH, ANY, 0, 0},
    {"fstatfs", BOTH, ANY, 0, 0},
    {"access", BOTH, ANY, 0, 0},
    {"faccessat", BOTH, ANY, 0, 0},
    {"faccessat2", BOTH, ANY, 0, 0},
    {"getdents64", BOTH, ANY, 0, 0},
    {"getcwd", BOTH, ANY, 0, 0},
    {"mkdir", BOTH, ANY, 0, 0},
    {"mkdirat", BOTH, ANY, 0, 0},
    {"rmdir", BOTH, ANY, 0, 0},
    {"unlink", BOTH, ANY, 0, 0},
    {"unlinkat", BOTH, ANY, 0, 0},
    {"rename", BOTH, ANY, 0, 0},
    {"renameat", BOTH, ANY, 0, 0},
    {"renameat2", BOTH, ANY, 0, 0},
    {"ftruncate", BOTH, ANY, 0, 0},
    {"fallocate", BOTH, ANY, 0, 0},
    {"fadvise64", BOTH, ANY, 0, 0},
    {"fsync", BOTH, ANY, 0, 0},
    {"fdatasync", BOTH, ANY, 0, 0},
    {"flock", BOTH, ANY, 0, 0},
    {"fcntl", BOTH, EQUALS, 1, F_GETFD},
    {"fcntl", BOTH, EQUALS, 1, F_SETFD},
    {"fcntl", BOTH, EQUALS, 1, F_GETFL},
    {"fcntl", BOTH, EQUALS, 1, F_SETFL},
    {"fcntl", BOTH, EQUALS, 1, F_DUPFD_CLOEXEC},
    {"ioctl", BOTH, EQUALS, 1, TCGETS},
    {"ioctl", BOTH, EQUALS, 1, TIOCGWINSZ},
    /* the parent, over the socket that is already there: no address */
    {"poll", BOTH, ANY, 0, 0},
    {"ppoll", BOTH, ANY, 0, 0},
    {"select", BOTH, ANY, 0, 0},
    {"pselect6", BOTH, ANY, 0, 0},
    {"sendto", BOTH, EQUALS, 4, 0},
    {"recvfrom", BOTH, EQUALS, 4, 0},
    /* memory */
    {"brk", BOTH, ANY, 0, 0},
    {"mmap", PARSE, BITS_OFF, 2, PROT_EXEC},
    {"mmap", COMPUTE, ANY, 0, 0},
    {"mprotect", PARSE, BITS_OFF, 2, PROT_EXEC},
    {"mprotect", COMPUTE, ANY, 0, 0},
    {"munmap", BOTH, ANY, 0, 0},
    {"mremap", BOTH, ANY, 0, 0},
    {"madvise", BOTH, ANY, 0, 0},
    {"msync", BOTH, ANY, 0, 0},
    {"arch_prctl", COMPUTE, EQUALS, 0, ARCH_GET_XCOMP_PERM},
    {"arch_prctl", COMPUTE, EQUALS, 0, ARCH_REQ_XCOMP_PERM},
    /* threads of this process, never another process */
    {"clone", COMPUTE, BITS_SET, 0, CLONE_THREAD},
    {"set_robust_list", BOTH, ANY, 0, 0},
    {"rseq", BOTH, ANY, 0, 0},
    {"futex", BOTH, ANY, 0, 0},
    {"sched_yield", BOTH, ANY, 0, 0},
    {"sched_getaffinity", BOTH, ANY, 0, 0},
    {"getcpu", BOTH, ANY, 0, 0},
    {"membarrier", BOTH, ANY, 0, 0},
    {"prctl", BOTH, EQUALS, 0, PR_SET_NAME},
    {"exit", BOTH, ANY, 0, 0},
    {"exit_group", BOTH, ANY, 0, 0},
    /* signals, to itself */
    {"rt_sigaction", BOTH, ANY, 0, 0},
    {"rt_sigprocmask", BOTH, ANY, 0, 0},
    {"rt_sigreturn", BOTH, ANY, 0, 0},
    {"sigaltstack", BOTH, ANY, 0, 0},
    {"tgkill", BOTH, OWN_PID, 0, 0},
    {"restart_syscall", BOTH, ANY, 0, 0},
    /* who, when, how much */
    {"getpid", BOTH, ANY, 0, 0},
    {"gettid", BOTH, ANY, 0, 0},
    {"getppid", BOTH, ANY, 0, 0},
    {"getuid", BOTH, ANY, 0, 0},
    {"geteuid", BOTH, ANY, 0, 0},
    {"getgid", BOTH, ANY, 0, 0},
    {"getegid", BOTH, ANY, 0, 0},
    {"uname", BOTH, ANY, 0, 0},
    {"sysinfo", BOTH, ANY, 0, 0},
    {"getrandom", BOTH, ANY, 0, 0},
    {"getrusage", BOTH, ANY, 0, 0},
    {"getrlimit", BOTH, ANY, 0, 0},
    {"prlimit64", BOTH, EQUALS, 2, 0}, /* no new limit: asks only */
    {"times", BOTH, ANY, 0, 0},
    {"time", BOTH, ANY, 0, 0},
    {"gettimeofday", BOTH, ANY, 0, 0},
    {"clock_gettime", BOTH, ANY, 0, 0},
    {"clock_getres", BOTH, ANY, 0, 0},
    {"clock_nanosleep", BOTH, ANY, 0, 0},
    {"nanosleep", BOTH, ANY, 0, 0},
};

/* Nothing here calls these, in any circumstance: whoever does has taken over the process. */
static const char *const deadly[] = {
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "keyctl",
    "add_key",
    "init_module",
    "finit_module",
    "kexec_load",
    "mount",
    "setns",
    "unshare",
    "pivot_root",
    "open_by_handle_at",
    "pidfd_getfd",
    "memfd_create",
    "personality",
};

/* Seems to work and does nothing. OMP_PROC_BIND makes libgomp pin its threads and give up where it
 * cannot, but the call could pin any process of this user: threads stay where they are. */
static const char *const pretended[] = {"sched_setaffinity"};

static struct scmp_arg_cmp comparison(const struct rule *rule)
{
    struct scmp_arg_cmp compare = {.arg = rule->argument};
    switch (rule->kind) {
    case BITS_SET:
    case BITS_OFF:
        compare.op = SCMP_CMP_MASKED_EQ;
        compare.datum_a = rule->value;
        compare.datum_b = rule->kind == BITS_SET ? rule->value : 0;
        break;
    case OWN_PID:
        compare.op = SCMP_CMP_EQ;
        compare.datum_a = (uint64_t)getpid();
        break;
    default:
        compare.op = SCMP_CMP_EQ;
        compare.datum_a = rule->value;
    }
    return compare;
}

/* A call that this architecture or this libseccomp does not know cannot be made either. */
static int add_calls(scmp_filter_ctx filter, uint32_t action, const char *const *calls, size_t n)
{
    int error = 0;
    for (size_t i = 0; i < n && error == 0; i++) {
        int number = seccomp_syscall_resolve_name(calls[i]);
        if (number >= 0)
            error = seccomp_rule_add(filter, action, number, 0);
    }
    return error;
}

static int add_rules(scmp_filter_ctx filter, enum sandbox_profile profile)
{
    int error = 0;
    for (size_t i = 0; i < ARRAY_LEN(rules) && error == 0; i++) {
        int number = seccomp_syscall_resolve_name(rules[i].call);
        if (number < 0 || !(rules[i].profiles & 1u << profile))
            continue;
        struct scmp_arg_cmp compare = comparison(&rules[i]);
        error =
            seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, rules[i].kind != ANY, &compare);
    }
    if (error == 0)
        error = add_calls(filter, SCMP_ACT_ERRNO(0), pretended, ARRAY_LEN(pretended));
    if (error == 0)
        error = add_calls(filter, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_LEN(deadly));
    return error;
}

enum status seccomp_enter(enum sandbox_profile profile, struct err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!filter)
        return err_set(err, E_UNAVAILABLE, "The system call filter could not be made.");
    int error = add_rules(filter, profile);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    if (error != 0)
        return err_set(err, E_UNAVAILABLE, "The system call filter was refused: %s.",
                       strerror(-error));
    return OK;
}
