// Faults of the packet path's system calls, on demand.
//
// CFaults.c defines sendmmsg, recvmmsg, read and writev. Linked into a program it takes the place of
// the C library's; as a shared object in LD_PRELOAD it does so for a daemon as it ships. Without a
// plan every call is passed on as it is. A plan is the calling thread's, or lies in a file that is
// mapped by all processes that have its path in SWIREGUARD_FAULTS, and may be changed at any time.
#ifndef CFAULTS_H
#define CFAULTS_H

#include <stdint.h>

#ifndef __clang__
#define _Nullable
#endif

/// The number of a rule that is being written: nothing is counted in it.
#define FAULTS_UNFINISHED 0xFFFFFFFFu

enum faults_call { faults_sendmmsg, faults_recvmmsg, faults_read, faults_writev, faults_calls };

/// When one kind of call fails, and how. A message is a datagram or a run of them, or one packet of a
/// TUN; messages are counted from 0, since the plan was made.
struct faults_rule {
    /// The errno; 0 for no faults.
    int32_t error;
    /// How often in a row, before the message passes.
    uint32_t times;
    /// The first message that it happens to.
    uint64_t first;
    /// Again after so many messages; 0 for once.
    uint64_t period;
    /// Only to runs (UDP_SEGMENT), if not 0.
    uint32_t runs_only;
    /// Only to messages of this length, if not 0: then to each of them, whatever its number.
    uint32_t length;
    /// No call takes more messages than this; 0 for no limit.
    uint32_t most;
    /// Of the rule: another one each time that it is set while calls are under way, so that those count
    /// nothing in it.
    uint32_t number;
    /// Messages that have passed, and faults so far; written by the calls.
    uint64_t passed;
    uint64_t injected;
    /// How many faults the present message has had.
    uint64_t met;
};

struct faults_plan {
    struct faults_rule rules[faults_calls];
};

/// The plan of the calling thread from now on; NULL for none.
void faults_use(struct faults_plan *_Nullable plan);

#endif
