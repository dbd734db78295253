// Makes system calls of the packet path fail.
//
// CFaults.c defines sendmmsg, recvmmsg, read and writev, and replaces those of the C library: in programs
// that link it, and as a shared library in LD_PRELOAD in released daemons. Without a plan, calls are
// unchanged. A plan belongs to a thread, or is in a file that all processes with its path in
// SWIREGUARD_FAULTS map. It can change at any time.
#ifndef CFAULTS_H
#define CFAULTS_H

#include <stdint.h>

#ifndef __clang__
#define _Nullable
#endif

/// The number of a rule that is being written. Calls do not count in it.
#define FAULTS_UNFINISHED 0xFFFFFFFFu

enum faults_call { faults_sendmmsg, faults_recvmmsg, faults_read, faults_writev, faults_calls };

/// When a system call fails, and with which error.
///
/// A message is a datagram, a segmented send, or one packet of a TUN. Messages are numbered from 0, from the
/// creation of the plan on.
struct faults_rule {
    /// The errno; 0 for no faults.
    int32_t error;
    /// The number of faults in a row before the message passes.
    uint32_t times;
    /// The first message that fails.
    uint64_t first;
    /// The distance to the next message that fails; 0 for only one.
    uint64_t period;
    /// If not 0, only segmented sends (UDP_SEGMENT) fail.
    uint32_t runs_only;
    /// If not 0, all messages of this length fail, and no others.
    uint32_t length;
    /// The largest number of messages in a call; 0 for no limit.
    uint32_t most;
    /// Changes each time the rule changes, so that calls in progress do not count in the new rule.
    uint32_t number;
    /// Passed messages and faults so far, written by the calls.
    uint64_t passed;
    uint64_t injected;
    /// Faults of the current message so far.
    uint64_t met;
};

struct faults_plan {
    struct faults_rule rules[faults_calls];
};

/// Sets the plan of the calling thread; NULL for none.
void faults_use(struct faults_plan *_Nullable plan);

#endif
